// Draw the circuit at a step: fill is activity, width is current, colour is sign.

import type { Surface } from "./canvas";
import type { Colours } from "./colours";
import { currentsAt } from "./currents";
import { activityAt, type Lived } from "./data";
import type { Layout } from "./layout";

export interface Scale {
  activity: Float32Array;
  current: number;
}

// The largest that each neuron does, and what a thick line stands for: most currents are no larger.
export function scaleOf(data: Lived): Scale {
  const activity = new Float32Array(data.neurons.length).fill(1e-6);
  const sizes: number[] = [];
  const every = Math.max(1, Math.floor(data.steps / 40));
  for (let step = 0; step < data.steps; step++) {
    activityAt(data, step).forEach((value, k) => (activity[k] = Math.max(activity[k], Math.abs(value))));
    if (step % every === 0) sizes.push(...currentsAt(data, step).map(Math.abs));
  }
  sizes.sort((one, other) => one - other);
  return { activity, current: Math.max(1e-6, sizes[Math.floor(0.98 * (sizes.length - 1))] ?? 1) };
}

export function drawCircuit(
  shown: Surface, data: Lived, layout: Layout, scale: Scale, step: number, look: Colours, chosen: Set<number> | null,
): void {
  const { context } = shown;
  context.clearRect(0, 0, shown.width, shown.height);
  drawSynapses(context, data, layout, scale, step, look, chosen);
  drawNeurons(context, data, layout, scale, step, look, chosen);
  context.textAlign = "center";
  for (const column of layout.columns) {
    context.fillStyle = look.ink;
    context.font = "600 12px system-ui, sans-serif";
    context.fillText(column.name, column.x, 13);
    context.fillStyle = look.muted;
    context.font = "11px system-ui, sans-serif";
    context.fillText(String(column.n), column.x, 28);
  }
}

function drawSynapses(
  context: CanvasRenderingContext2D, data: Lived, layout: Layout, scale: Scale, step: number, look: Colours,
  chosen: Set<number> | null,
): void {
  const { source, target } = data.arrays;
  const currents = currentsAt(data, step);
  for (let e = 0; e < currents.length; e++) {
    const [from, to] = [source.values[e], target.values[e]];
    if (chosen !== null && !(chosen.has(from) && chosen.has(to))) continue;
    const size = Math.min(1, Math.abs(currents[e]) / scale.current);
    if (size < 0.04 || from === to) continue;
    const [start, end] = [layout.places[from], layout.places[to]];
    context.strokeStyle = currents[e] > 0 ? look.up : look.down;
    context.globalAlpha = 0.12 + 0.6 * size;
    context.lineWidth = 0.4 + 3.2 * size;
    context.beginPath();
    context.moveTo(start.x, start.y);
    if (start.x === end.x) {
      context.quadraticCurveTo(start.x + 14 + Math.abs(end.y - start.y) / 4, (start.y + end.y) / 2, end.x, end.y);
    } else {
      const middle = (start.x + end.x) / 2;
      context.bezierCurveTo(middle, start.y, middle, end.y, end.x, end.y);
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

function drawNeurons(
  context: CanvasRenderingContext2D, data: Lived, layout: Layout, scale: Scale, step: number, look: Colours,
  chosen: Set<number> | null,
): void {
  const activity = activityAt(data, step);
  layout.places.forEach((place, k) => {
    const share = activity[k] / scale.activity[k];
    context.globalAlpha = chosen === null || chosen.has(k) ? 1 : 0.2;
    context.beginPath();
    context.arc(place.x, place.y, place.radius, 0, 2 * Math.PI);
    context.fillStyle = look.paper;
    context.fill();
    context.globalAlpha *= Math.min(1, Math.abs(share));
    context.fillStyle = share > 0 ? look.up : look.down;
    context.fill();
    context.globalAlpha = chosen === null || chosen.has(k) ? 1 : 0.2;
    context.strokeStyle = look.muted;
    context.lineWidth = 1;
    context.stroke();
  });
  context.globalAlpha = 1;
}

// Cross out what takes no part.
export function drawCuts(shown: Surface, layout: Layout, alive: Set<number>, look: Colours): void {
  const { context } = shown;
  context.strokeStyle = look.ink;
  context.lineWidth = 2;
  layout.places.forEach(({ x, y, radius }, k) => {
    if (alive.has(k)) return;
    context.beginPath();
    for (const side of [-1, 1]) {
      context.moveTo(x - radius, y - side * radius);
      context.lineTo(x + radius, y + side * radius);
    }
    context.stroke();
  });
}
