// The live page: policies at work in worlds that run here, and a visitor's hand in them.

import { fit, surface, type Surface } from "./canvas";
import { drawCircuit, drawCuts } from "./circuit";
import { colours, type Colours } from "./colours";
import { activityAt, gateAt } from "./data";
import { Lane, untouched, type Hand, type PackedLane } from "./lane";
import { arrange, nearest, type Layout } from "./layout";
import { physics } from "./physics";
import { between } from "./picture";
import { Policy } from "./policy";
import { drawStrips, neuronStrips, short, showKeys, STRIP_HEIGHT, stripsOf, type Strip } from "./strips";
import { Base, wrapped } from "./world";

export interface PackedPage {
  seed: number;
  lanes: PackedLane[];
  // What sliders begin at, and the most that noise may be: as the first policy was trained.
  trained: { dt: number; jitter: number; noise: number; dropout: number; most_noise: number };
}

const MARKUP = `
<div class="controls">
  <button type="button" class="play"></button>
  <button type="button" class="again">New episode</button>
  <span class="pushes">
    <button type="button" class="push left" aria-label="push to the left">\u25c0 push</button>
    <button type="button" class="push right" aria-label="push to the right">push \u25b6</button>
  </span>
  <label class="more">speed <select class="speed">
    <option value="0.1">0.1</option><option value="0.25">0.25</option><option value="0.5">0.5</option>
    <option value="1" selected>1</option><option value="2">2</option><option value="4">4</option></select></label>
  <button type="button" class="reset">As trained</button>
</div>
<div class="lanes"></div>
<p class="told" aria-live="polite"></p>
<div class="knobs">
  <label class="dt">dt, at least <input type="range" min="1" step="1"><output></output></label>
  <label class="jitter">jitter of dt, up to <input type="range" min="0" step="1"><output></output></label>
  <label class="noise">noise of every sensor <input type="range" min="0" step="any"><output></output></label>
  <label class="dropout">sensors fail <input type="range" min="0" max="1" step="0.05"><output></output></label>
  <fieldset class="sensors"><legend>sensors</legend></fieldset>
  <fieldset class="cuts"><legend>neuron</legend>
    <select class="neuron" aria-label="neuron"><option value="">choose</option></select>
    <button type="button" class="cut">Cut</button> <button type="button" class="restore">Restore all</button>
  </fieldset>
</div>
<div class="records"></div>
<p class="note more">Drag in a picture, or hold the left or right arrow, to push. Click a neuron to cut it, and again to restore it; a
  sensor in the circuit is switched off and on. Space plays and stops, the full stop goes a step, N begins a new episode, C cuts the
  chosen neuron, T is as trained. A sensor that is off reads zero; a neuron that is cut puts out zero and keeps nothing.</p>`;

const LANE = `
<h2></h2>
<div class="stage">
  <figure class="task"><canvas tabindex="0" role="img"></canvas><figcaption class="earned"></figcaption></figure>
  <figure class="circuit"><canvas tabindex="0" role="img"></canvas></figure>
</div>`;

const REST_S = 0.8; // between two episodes
const MOST_BEHIND = 30; // control steps that are caught up with after the page slept
const THINKING_MS = 30; // between two pictures of all circuits, for each of them
const SAID_MS = 500; // between two descriptions for those who don't see it
const CLOCK = "log dt";

interface View {
  lane: Lane;
  root: HTMLElement;
  task: Surface;
  circuit: Surface;
  along: Surface;
  own: Surface;
  strips: Strip[];
  ownStrips: Strip[];
  layout: Layout;
  paths: Set<number>; // neurons that aren't cut, and sensors that are on
}

class Page {
  readonly hand: Hand = untouched();
  readonly lanes: Lane[];
  isPlaying: boolean;
  private readonly views: View[];
  private look: Colours = colours();
  private speed = 1;
  private seed: number;
  private due = 0;
  private rested = 0;
  private last = performance.now();
  private isStale = false;
  private drawn = 0;
  private said = -Infinity;
  private readonly keys = new Set<string>();
  private dragged: { view: View; x: number; y: number } | null = null;

  constructor(private readonly root: HTMLElement, private readonly packed: PackedPage) {
    root.innerHTML = MARKUP;
    document.body.classList.toggle("bare", location.hash.includes("bare"));
    this.seed = packed.seed;
    this.lanes = packed.lanes.map((one) => new Lane(one, this.hand));
    this.views = this.lanes.map((lane) => this.place(lane));
    this.find(".lanes").classList.toggle("several", this.lanes.length > 1);
    this.isPlaying = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.list();
    this.listen();
    this.asTrained();
    this.begin(this.seed);
    this.resize();
    requestAnimationFrame((now) => this.frame(now));
  }

  // Let one control step pass in every world, and begin again after a rest where all episodes are over.
  tick(): void {
    this.turnHand();
    for (const lane of this.lanes) lane.tick();
    if (!this.lanes.every((lane) => lane.isOver)) return;
    this.rested += this.lanes[0].packed.environment.control_step_s;
    if (this.rested >= REST_S) this.begin(this.seed + 1);
  }

  begin(seed: number): void {
    this.seed = seed;
    this.rested = 0;
    this.due = 0;
    for (const lane of this.lanes) {
      lane.start(seed);
      lane.tick();
    }
  }

  // ------------------------------------------------------------------------------------------------------- to build

  private find<Kind extends Element = HTMLElement>(selector: string, root: Element = this.root): Kind {
    const found = root.querySelector<Kind>(selector);
    if (found === null) throw new Error(`the page has no ${selector}`);
    return found;
  }

  private place(lane: Lane): View {
    const root = document.createElement("section");
    root.className = "lane";
    root.innerHTML = LANE;
    this.find("h2", root).textContent = lane.packed.name;
    root.setAttribute("aria-label", lane.packed.name);
    this.find(".lanes").append(root);
    const record = document.createElement("div");
    record.innerHTML = `<div class="keys"></div><canvas class="strips along"></canvas><canvas class="strips own"></canvas>`;
    this.find(".records").append(record);
    const [task, circuit] = [this.find<HTMLCanvasElement>(".task canvas", root), this.find<HTMLCanvasElement>(".circuit canvas", root)];
    const view: View = {
      lane, root, task: surface(task), circuit: surface(circuit), along: surface(this.find(".along", record)),
      own: surface(this.find(".own", record)), strips: stripsOf(lane.lived), ownStrips: [],
      layout: { places: [], columns: [] }, paths: new Set(),
    };
    showKeys(this.find(".keys", record), view.strips);
    circuit.addEventListener("click", (event) => {
      const found = nearest(view.layout.places, event.offsetX, event.offsetY);
      if (found !== null) this.toggle(lane, found);
    });
    circuit.addEventListener("pointermove", (event) => {
      const found = nearest(view.layout.places, event.offsetX, event.offsetY);
      circuit.title = found === null ? "" : words(lane, found);
      circuit.style.cursor = found === null ? "" : "pointer";
    });
    task.addEventListener("pointerdown", (event) => {
      task.setPointerCapture(event.pointerId);
      this.dragged = { view, x: event.offsetX, y: event.offsetY };
      task.focus({ preventScroll: true });
      event.preventDefault();
    });
    task.addEventListener("pointermove", (event) => {
      if (this.dragged?.view === view) this.dragged = { view, x: event.offsetX, y: event.offsetY };
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      task.addEventListener(end, () => (this.dragged = null));
    }
    return view;
  }

  private list(): void {
    const select = this.find<HTMLSelectElement>(".neuron");
    this.lanes.forEach((lane, number) => {
      lane.lived.neurons.forEach((one, k) => {
        const name = this.lanes.length > 1 ? `${lane.packed.name}: ${one.name}` : one.name;
        if (lane.isCircuit(k)) select.add(new Option(name, `${number} ${k}`));
      });
    });
    const names = new Set(this.lanes.flatMap((lane) => lane.lived.names.observation));
    const readsTime = this.lanes.some((lane) => lane.policy.form.reads_dt);
    for (const name of readsTime ? [...names, CLOCK] : names) {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true, value: name });
      box.addEventListener("change", () => this.sense(name, box.checked));
      label.append(box, name === CLOCK ? "clock (dt)" : name);
      this.find(".sensors").append(label);
    }
    const { dt, jitter, most_noise } = this.packed.trained;
    for (const [name, most] of [["dt", Math.max(8, dt)], ["jitter", Math.max(7, jitter)], ["noise", most_noise]] as const)
      this.find<HTMLInputElement>(`.${name} input`).max = String(most);
  }

  private listen(): void {
    const click = (selector: string, act: () => void): void => this.find(selector).addEventListener("click", act);
    click(".play", () => this.play(!this.isPlaying));
    click(".again", () => this.begin(this.seed + 1));
    click(".reset", () => this.asTrained());
    click(".restore", () => this.restore());
    click(".cut", () => this.cutChosen());
    this.find(".speed").addEventListener("change", (event) => (this.speed = Number((event.target as HTMLSelectElement).value)));
    this.find(".neuron").addEventListener("change", () => this.choose());
    for (const name of ["dt", "jitter", "noise", "dropout"] as const) {
      this.find(`.${name} input`).addEventListener("input", () => this.turn(name));
    }
    for (const [side, key] of [["left", "ArrowLeft"], ["right", "ArrowRight"]]) {
      const button = this.find(`.push.${side}`);
      const press = (isDown: boolean) => () => void (isDown ? this.keys.add(key) : this.keys.delete(key));
      button.addEventListener("pointerdown", press(true));
      for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) button.addEventListener(end, press(false));
      button.addEventListener("keydown", (event) => ["Enter", " "].includes(event.key) && press(true)());
      button.addEventListener("keyup", press(false));
    }
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keyup", (event) => this.keys.delete(event.key));
    window.addEventListener("blur", () => this.keys.clear());
    new ResizeObserver(() => this.resize()).observe(this.root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.resize());
  }

  private key(event: KeyboardEvent): void {
    const on = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || on.tagName === "SELECT") return;
    const isButton = on.tagName === "BUTTON" || (on.tagName === "INPUT" && (on as HTMLInputElement).type === "checkbox");
    if (event.key.startsWith("Arrow") && on.tagName !== "INPUT") {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      this.keys.add(event.key);
      event.preventDefault();
      return;
    }
    const acts: Record<string, () => void> = {
      " ": () => this.play(!this.isPlaying),
      ".": () => (this.play(false), this.tick(), this.show(1)),
      n: () => this.begin(this.seed + 1),
      c: () => this.cutChosen(),
      t: () => this.asTrained(),
    };
    const act = acts[event.key.toLowerCase()];
    if (act === undefined || (event.key === " " && isButton)) return;
    event.preventDefault();
    act();
  }

  // ------------------------------------------------------------------------------------------------ what a hand does

  play(isPlaying: boolean): void {
    this.isPlaying = isPlaying;
    const button = this.find(".play");
    button.textContent = isPlaying ? "Stop" : "Play";
    button.setAttribute("aria-pressed", String(isPlaying));
  }

  private turnHand(): void {
    const held = Number(this.keys.has("ArrowRight")) - Number(this.keys.has("ArrowLeft"));
    this.hand.pull = { x: held, y: 0 };
    if (this.dragged === null) return;
    const { view, x, y } = this.dragged;
    const at = view.lane.scene.handle(view.lane.state, view.task);
    const far = 0.25 * Math.min(view.task.width, view.task.height);
    const [across, down] = [(x - at.x) / far, (y - at.y) / far];
    const least = Math.max(1, Math.hypot(across, down) / 2);
    this.hand.pull = { x: across / least, y: down / least };
  }

  private turn(name: "dt" | "jitter" | "noise" | "dropout"): void {
    const [dt, jitter] = [this.value("dt"), this.value("jitter")];
    if (name === "noise" || name === "dropout") this.hand[name] = this.value(name);
    else this.hand.hold = Array.from({ length: jitter + 1 }, (_, k) => dt + k);
    this.label();
  }

  private value(name: string): number {
    return Number(this.find<HTMLInputElement>(`.${name} input`).value);
  }

  private label(): void {
    const steps = (n: number): string => `${n} control step${n === 1 ? "" : "s"}`;
    const said = {
      dt: steps(this.value("dt")), jitter: `${this.value("jitter")} more`, noise: short(this.value("noise")),
      dropout: `${Math.round(100 * this.value("dropout"))} % of the time`,
    };
    for (const [name, text] of Object.entries(said)) {
      this.find(`.${name} output`).textContent = text;
      this.find(`.${name} input`).setAttribute("aria-valuetext", text);
    }
  }

  asTrained(): void {
    Object.assign(this.hand, untouched());
    for (const name of ["dt", "jitter", "noise", "dropout"] as const) {
      this.find<HTMLInputElement>(`.${name} input`).value = String(this.packed.trained[name]);
    }
    this.label();
    this.restore("");
    this.play(this.isPlaying);
  }

  // Switch a sensor, or the clock, on or off for all policies that have it.
  sense(name: string, isOn: boolean): void {
    if (name === CLOCK) this.hand.tellsTime = isOn;
    else if (isOn) this.hand.off.delete(name);
    else this.hand.off.add(name);
    this.changed(`${name === CLOCK ? "the clock" : name} is ${isOn ? "on" : "off"}`);
  }

  // Cut a neuron, or restore it; of what is sensed, switch the sensor.
  toggle(lane: Lane, neuron: number): void {
    const { name } = lane.lived.neurons[neuron];
    const sensor = lane.sees(neuron);
    if (sensor !== null) this.sense(sensor, this.hand.off.has(sensor));
    else if (neuron < lane.lived.n_sensory) this.sense(CLOCK, !this.hand.tellsTime);
    else if (lane.isCircuit(neuron)) {
      if (!lane.cut.delete(neuron)) lane.cut.add(neuron);
      this.changed(`${name} is ${lane.cut.has(neuron) ? "cut" : "restored"}`);
    }
  }

  private chosen(): { lane: Lane; neuron: number } | null {
    const { value } = this.find<HTMLSelectElement>(".neuron");
    const [lane, neuron] = value.split(" ").map(Number);
    return value === "" ? null : { lane: this.lanes[lane], neuron };
  }

  private cutChosen(): void {
    const found = this.chosen();
    if (found !== null) this.toggle(found.lane, found.neuron);
  }

  private choose(): void {
    const found = this.chosen();
    for (const view of this.views) {
      view.ownStrips = found?.lane === view.lane ? neuronStrips(view.lane.lived, [found.neuron]) : [];
    }
    this.changed("");
    this.resize();
  }

  private restore(told = "all neurons are restored"): void {
    for (const lane of this.lanes) lane.cut.clear();
    this.changed(told);
  }

  // Show what is cut and switched off wherever it is seen, and say what was done.
  private changed(told: string): void {
    const found = this.chosen();
    this.find(".cut").textContent = found?.lane.cut.has(found.neuron) ? "Restore" : "Cut";
    for (const box of this.root.querySelectorAll<HTMLInputElement>(".sensors input")) {
      box.checked = box.value === CLOCK ? this.hand.tellsTime : !this.hand.off.has(box.value);
    }
    for (const view of this.views) {
      const { lane } = view;
      const isOn = (k: number): boolean => {
        const sensor = lane.sees(k);
        if (sensor !== null) return !this.hand.off.has(sensor);
        return k < lane.lived.n_sensory ? this.hand.tellsTime : !lane.cut.has(k);
      };
      view.paths = new Set(lane.lived.neurons.flatMap((_, k) => (isOn(k) ? [k] : [])));
    }
    this.find(".told").textContent = told;
    this.show(1);
  }

  // ---------------------------------------------------------------------------------------------------- what is seen

  private resize(): void {
    this.look = colours();
    for (const view of this.views) {
      view.along.element.style.height = `${view.strips.length * STRIP_HEIGHT}px`;
      view.own.element.style.height = `${view.ownStrips.length * STRIP_HEIGHT}px`;
      for (const shown of [view.task, view.circuit, view.along, view.own]) fit(shown);
      view.layout = arrange(view.lane.lived.neurons, view.circuit.width, view.circuit.height);
    }
    this.show(1);
  }

  private frame(now: number): void {
    requestAnimationFrame((next) => this.frame(next));
    const passed = ((now - this.last) / 1000) * this.speed;
    this.last = now;
    if (!this.isPlaying) return;
    this.due = Math.min(MOST_BEHIND, this.due + passed / this.lanes[0].packed.environment.control_step_s);
    this.isStale ||= this.due >= 1;
    for (; this.due >= 1; this.due--) this.tick();
    this.show(this.due, this.isStale && now - this.drawn >= THINKING_MS * this.lanes.length);
  }

  // Draw the tasks, a share of a control step after the last, and what their policies think, or the former alone.
  show(share: number, withThinking = true): void {
    for (const view of this.views) {
      this.draw(view, share);
      if (withThinking) this.drawThinking(view);
    }
    if (!withThinking) return;
    [this.isStale, this.drawn] = [false, performance.now()];
    if (this.drawn - this.said < SAID_MS) return;
    this.said = this.drawn;
    for (const { lane, task, circuit } of this.views) {
      task.element.setAttribute("aria-label", lane.scene.words(lane.state, lane.action));
      circuit.element.setAttribute("aria-label", `circuit of ${lane.packed.name}, ${lane.cut.size} neurons cut`);
    }
  }

  private draw({ lane, task }: View, share: number): void {
    const { context, width, height } = task;
    const { pull } = this.hand;
    const state = between(lane.before, lane.state, share);
    context.clearRect(0, 0, width, height);
    lane.scene.draw(task, state, lane.action, this.look);
    if (pull.x === 0 && pull.y === 0) return;
    const at = lane.scene.handle(state, task);
    const far = 0.25 * Math.min(width, height);
    context.strokeStyle = this.look.ink;
    context.lineWidth = 2;
    context.setLineDash([4, 4]);
    context.beginPath();
    context.moveTo(at.x, at.y);
    context.lineTo(at.x + far * pull.x, at.y + far * pull.y);
    context.stroke();
    context.setLineDash([]);
  }

  private drawThinking(view: View): void {
    const { lane, circuit, layout } = view;
    const { lived, returns } = lane;
    const now = lived.steps - 1;
    drawCircuit(circuit, lived, layout, lane.scale, now, this.look, view.paths);
    drawCuts(circuit, layout, view.paths, this.look);
    drawStrips(view.along, view.strips, now, lived.steps, this.look);
    drawStrips(view.own, view.ownStrips, now, lived.steps, this.look);
    const past = returns.slice(-3).reverse().map((one) => one.toFixed(1));
    const limit = lane.packed.environment.limit;
    this.find(".earned", view.root).textContent =
      `return ${lane.earned.toFixed(1)} at step ${lane.taken}${limit === null ? "" : ` of ${limit}`}` +
      (lane.isOver ? ", over" : "") + (past.length > 0 ? `; before: ${past.join(", ")}` : "");
  }
}

function words(lane: Lane, neuron: number): string {
  const { lived } = lane;
  const value = activityAt(lived, lived.steps - 1)[neuron];
  const gate = gateAt(lived, lived.steps - 1, neuron);
  return `${lived.neurons[neuron].name}: ${short(value)}${Number.isNaN(gate) ? "" : `, gate ${short(gate)}`}`;
}

const root = document.getElementById("live");
const text = document.getElementById("data")?.textContent;
if (root !== null && text) {
  const page = new Page(root, JSON.parse(text) as PackedPage);
  // For the console: what the page computes with.
  Object.assign(window, { velora: { page, lanes: page.lanes, Policy, physics, Base, wrapped } });
}
