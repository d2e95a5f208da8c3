// The page: a picture of the task, the circuit beside it, strips below, and one clock for all of them.

import { fit, surface, type Surface } from "./canvas";
import { drawCircuit, scaleOf, type Scale } from "./circuit";
import { colours, type Colours } from "./colours";
import { pathsOf } from "./currents";
import { activityAt, at, gateAt, read, type Data } from "./data";
import { arrange, nearest, type Layout } from "./layout";
import { drawStrips, neuronStrips, short, showKeys, stepAt, STRIP_HEIGHT, stripsOf, type Strip } from "./strips";

const MARKUP = `
<div class="stage">
  <figure class="task"><img alt=""><figcaption></figcaption></figure>
  <figure class="circuit">
    <canvas tabindex="0" role="img"></canvas>
    <figcaption><span class="key up"></span> pushes up <span class="key down"></span> pushes down; width is current, fill is activity.
      Choose a neuron to see its paths alone.</figcaption>
  </figure>
</div>
<div class="controls">
  <button type="button" class="play"></button>
  <input type="range" class="scrub" min="0" value="0" aria-label="step">
  <output class="clock"></output>
  <label>speed <select class="speed">
    <option value="0.25">0.25</option><option value="0.5">0.5</option><option value="1" selected>1</option>
    <option value="2">2</option><option value="4">4</option></select></label>
  <label>neuron <select class="neuron"><option value="">all</option></select></label>
</div>
<p class="told" aria-live="polite"></p>
<div class="keys"></div>
<canvas class="strips along"></canvas>
<div class="of-neuron"><canvas class="strips"></canvas><p class="note"></p></div>
<p class="note">Space plays and stops; left and right go a step, with Shift ten; Home and End go to the ends; Escape shows all neurons.</p>`;

class Viewer {
  private step = 0;
  private isPlaying: boolean;
  private speed = 1;
  private chosen: number | null = null;
  private paths: Set<number> | null = null;
  private layout!: Layout;
  private look: Colours = colours();
  private last = 0;
  private readonly scale: Scale;
  private readonly circuit: Surface;
  private readonly along: Surface;
  private readonly own: Surface;
  private readonly strips: Strip[];
  private ownStrips: Strip[] = [];

  constructor(private readonly root: HTMLElement, private readonly data: Data) {
    root.innerHTML = MARKUP;
    this.scale = scaleOf(data);
    this.circuit = surface(this.find(".circuit canvas"));
    this.along = surface(this.find(".along"));
    this.own = surface(this.find(".of-neuron canvas"));
    this.strips = stripsOf(data);
    showKeys(this.find(".keys"), this.strips);
    this.isPlaying = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.find<HTMLInputElement>(".scrub").max = String(data.steps - 1);
    const select = this.find<HTMLSelectElement>(".neuron");
    data.neurons.forEach((one, k) => select.add(new Option(one.name, String(k))));
    if (data.pictures.length === 0) this.find(".task").remove();
    this.listen();
    this.resize();
    requestAnimationFrame((now) => this.tick(now));
  }

  private find<Kind extends Element = HTMLElement>(selector: string): Kind & HTMLCanvasElement {
    const found = this.root.querySelector(selector);
    if (found === null) throw new Error(`the page has no ${selector}`);
    return found as Kind & HTMLCanvasElement;
  }

  private listen(): void {
    this.find(".play").addEventListener("click", () => this.play(!this.isPlaying));
    this.find(".scrub").addEventListener("input", (event) => this.go(Number((event.target as HTMLInputElement).value)));
    this.find(".speed").addEventListener("change", (event) => (this.speed = Number((event.target as HTMLSelectElement).value)));
    this.find(".neuron").addEventListener("change", (event) => {
      const value = (event.target as HTMLSelectElement).value;
      this.choose(value === "" ? null : Number(value));
    });
    this.circuit.element.addEventListener("click", (event) => {
      const found = nearest(this.layout.places, event.offsetX, event.offsetY);
      this.choose(found === this.chosen ? null : found);
    });
    this.circuit.element.addEventListener("pointermove", (event) => {
      const found = nearest(this.layout.places, event.offsetX, event.offsetY);
      this.circuit.element.title = found === null ? "" : this.words(found);
      this.circuit.element.style.cursor = found === null ? "" : "pointer";
    });
    for (const shown of [this.along, this.own]) {
      const scrub = (event: PointerEvent): void => {
        if (event.buttons !== 0) this.go(stepAt(event.offsetX, shown.width, this.data.steps));
      };
      shown.element.addEventListener("pointerdown", scrub);
      shown.element.addEventListener("pointermove", scrub);
    }
    document.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(this.root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.resize());
  }

  private key(event: KeyboardEvent): void {
    const on = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || on.tagName === "SELECT") return;
    const far = event.shiftKey ? 10 : 1;
    const moves: Record<string, () => void> = {
      " ": () => this.play(!this.isPlaying),
      ArrowLeft: () => this.go(this.step - far),
      ArrowRight: () => this.go(this.step + far),
      Home: () => this.go(0),
      End: () => this.go(this.data.steps - 1),
      Escape: () => this.choose(null),
    };
    const move = moves[event.key];
    if (move === undefined || (event.key === " " && on.tagName === "BUTTON")) return;
    event.preventDefault();
    if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") this.play(false);
    move();
  }

  private play(isPlaying: boolean): void {
    if (isPlaying && this.step >= this.data.steps - 1) this.step = 0;
    this.isPlaying = isPlaying;
    this.show();
  }

  private go(step: number): void {
    this.step = Math.max(0, Math.min(this.data.steps - 1, step));
    this.show();
  }

  private choose(neuron: number | null): void {
    this.chosen = neuron;
    this.paths = neuron === null ? null : pathsOf(this.data, neuron);
    this.ownStrips = neuron === null ? [] : neuronStrips(this.data, [neuron]);
    this.find<HTMLSelectElement>(".neuron").value = neuron === null ? "" : String(neuron);
    this.resize();
  }

  private resize(): void {
    this.look = colours();
    this.along.element.style.height = `${this.strips.length * STRIP_HEIGHT}px`;
    this.own.element.style.height = `${this.ownStrips.length * STRIP_HEIGHT}px`;
    const { gate_means: gate, time_means: time } = this.data;
    const meanings = [gate && `gate: ${gate}`, time && `time constant, in control steps: ${time}`].filter(Boolean);
    this.find(".of-neuron p").textContent = this.ownStrips.length > 0 ? meanings.join("; ") : "";
    for (const shown of [this.circuit, this.along, this.own]) fit(shown);
    this.layout = arrange(this.data.neurons, this.circuit.width, this.circuit.height);
    this.show();
  }

  private tick(now: number): void {
    const frame = this.data.frame_ms / this.speed;
    if (this.isPlaying && now - this.last >= frame) {
      const passed = Math.min(10, Math.max(1, Math.floor((now - this.last) / frame)));
      this.last = now;
      if (this.step >= this.data.steps - 1) this.play(false);
      else this.go(this.step + passed);
    }
    requestAnimationFrame((next) => this.tick(next));
  }

  private words(neuron: number): string {
    const value = activityAt(this.data, this.step)[neuron];
    const gate = gateAt(this.data, this.step, neuron);
    return `${this.data.neurons[neuron].name}: ${short(value)}${Number.isNaN(gate) ? "" : `, gate ${short(gate)}`}`;
  }

  private show(): void {
    const { data, step } = this;
    drawCircuit(this.circuit, data, this.layout, this.scale, step, this.look, this.paths);
    drawStrips(this.along, this.strips, step, data.steps, this.look);
    drawStrips(this.own, this.ownStrips, step, data.steps, this.look);
    if (data.pictures.length > 0) {
      const shown = Math.min(data.pictures.length - 1, Math.floor(step / data.picture_every));
      const image = this.find<HTMLImageElement>(".task img");
      image.src = data.pictures[shown];
      image.alt = `the task at step ${step}`;
      this.find(".task figcaption").textContent = this.done();
    }
    const play = this.find(".play");
    play.textContent = this.isPlaying ? "Stop" : "Play";
    play.setAttribute("aria-pressed", String(this.isPlaying));
    this.find<HTMLInputElement>(".scrub").value = String(step);
    this.find(".clock").textContent = `${step + 1} of ${data.steps}`;
    this.circuit.element.setAttribute("aria-label", `circuit at step ${step + 1}: ${this.done()}`);
    const told = this.chosen === null ? "" : `${this.words(this.chosen)}; ${(this.paths?.size ?? 1) - 1} neurons on its paths`;
    if (!this.isPlaying || this.chosen !== null) this.find(".told").textContent = told;
  }

  private done(): string {
    const { action, reward } = this.data.arrays;
    const words = this.data.names.action.map((name, k) => `${name} ${short(at(action, this.step, k))}`);
    let earned = 0;
    for (let row = 0; row <= this.step; row++) earned += reward.values[row];
    return `${words.slice(0, 4).join(", ")}; return so far ${short(earned)}`;
  }
}

const root = document.getElementById("viewer");
const text = document.getElementById("data")?.textContent;
if (root !== null && text) new Viewer(root, read(JSON.parse(text)));
