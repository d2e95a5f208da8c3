// Values below the pointer or, by arrow keys, at a place of the focused panel; and buttons that hide curves.
"use strict";
(() => {
  const panels = JSON.parse(document.getElementById("data").textContent);
  const hidden = new Set();
  const written = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const number = (value) => written.format(value).replace("-", "\u2212");

  function element(name, attributes = {}, text = "") {
    const svg = ["line", "circle"].includes(name);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  }

  for (const button of document.querySelectorAll("button[data-toggle]")) {
    button.addEventListener("click", () => {
      const curve = Number(button.dataset.toggle);
      const off = !hidden.delete(curve);
      if (off) hidden.add(curve);
      button.setAttribute("aria-pressed", String(!off));
      for (const part of document.querySelectorAll(`[data-curve="${curve}"]`)) part.classList.toggle("off", off);
    });
  }

  for (const figure of document.querySelectorAll("figure[data-panel]")) {
    const panel = panels[figure.dataset.panel];
    if (panel) follow(figure, figure.querySelector("svg"), panel);
  }

  function follow(figure, svg, panel) {
    const [left, top, right, bottom] = panel.box;
    const [first, last] = panel.xlim;
    const [low, high] = panel.ylim;
    const tip = element("div", { class: "tip", role: "status", hidden: "" });
    const marks = [];
    let share = null; // of the way from left to right; null shows nothing
    figure.append(tip);

    const clear = () => marks.splice(0).forEach((mark) => mark.remove());
    const put = (mark) => marks.push(svg.appendChild(mark));

    function valuesAt(x) {
      const found = [];
      for (const one of panel.curves) {
        if (hidden.has(one.curve) || x < one.from || x > one.to) continue;
        const width = one.to - one.from;
        const k = width ? Math.round(((x - one.from) / width) * (one.middle.length - 1)) : 0;
        found.push({ ...one, at: one.middle[k], band: one.low && [one.low[k], one.high[k]] });
      }
      return found.sort((a, b) => b.at - a.at);
    }

    function show() {
      clear();
      if (share === null) return void (tip.hidden = true);
      const across = left + share * (right - left);
      const x = first + share * (last - first);
      put(element("line", { class: "at", x1: across, x2: across, y1: top, y2: bottom }));
      const rows = [element("b", {}, `${number(x)} ${panel.across}`)];
      for (const { curve, name, at, band } of valuesAt(x)) {
        const cy = bottom - ((at - low) / (high - low)) * (bottom - top);
        put(element("circle", { cx: across, cy, r: 3, style: `fill: var(--curve-${curve})` }));
        const row = element("div");
        const text = band ? `${number(at)} [${number(band[0])}, ${number(band[1])}]` : number(at);
        row.append(element("i", { style: `--colour: var(--curve-${curve})` }), element("span", {}, name), element("span", {}, text));
        rows.push(row);
      }
      tip.replaceChildren(...rows);
      tip.hidden = false;
      const scale = svg.clientWidth / svg.viewBox.baseVal.width;
      const middle = across * scale - tip.offsetWidth / 2;
      tip.style.left = `${Math.max(0, Math.min(middle, figure.clientWidth - tip.offsetWidth))}px`;
      tip.style.top = `${bottom * scale + 4}px`; // below the axes, where it hides no curve
    }

    const moveTo = (to) => ((share = to), show());
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const across = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      const to = (across - left) / (right - left);
      moveTo(to < -0.02 || to > 1.02 ? null : Math.min(1, Math.max(0, to)));
    });
    svg.addEventListener("pointerleave", () => moveTo(null));
    figure.addEventListener("blur", () => moveTo(null));
    figure.addEventListener("keydown", (event) => {
      const now = share ?? 1;
      const to = { ArrowLeft: now - 0.02, ArrowRight: now + 0.02, Home: 0, End: 1, Escape: null }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      moveTo(to === null ? null : Math.min(1, Math.max(0, to)));
    });
  }
})();
