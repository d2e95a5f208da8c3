// Strips along the episode, one below the other, with a line at the step that is shown.

import type { Surface } from "./canvas";
import type { Colours } from "./colours";
import { at, type Lived, type Table } from "./data";

export interface Strip {
  label: string;
  table: Table;
  columns: number[];
  names: string[];
  isLog?: boolean;
}

const DASHES: readonly number[][] = [[], [6, 3], [1.5, 2.5]]; // of the first eight lines, the second and the third
const STYLES = ["solid", "dashed", "dotted"];
const COLOURS = 8;
const LEFT = 64;
const RIGHT = 10;
export const STRIP_HEIGHT = 74;

export function stripsOf(data: Lived): Strip[] {
  const { observation, action, dt, reward } = data.arrays;
  const all = (table: Table): number[] => Array.from({ length: table.columns }, (_, k) => k);
  const strips: Strip[] = [
    { label: "observation", table: observation, columns: all(observation), names: data.names.observation },
    { label: "action", table: action, columns: all(action), names: data.names.action },
    { label: "reward", table: reward, columns: [0], names: ["reward"] },
  ];
  const times = new Set(dt.values);
  if (times.size > 1 || times.has(NaN)) strips.push({ label: "dt", table: dt, columns: [0], names: ["dt, control steps"] });
  return strips;
}

export function neuronStrips(data: Lived, neurons: number[]): Strip[] {
  const { activity, gate, time_constant: time } = data.arrays;
  const columns = neurons.map((k) => k - data.n_sensory).filter((k) => k >= 0 && k < activity.columns);
  const names = columns.map((k) => data.neurons[k + data.n_sensory].name);
  const strips: Strip[] = [{ label: "activity", table: activity, columns, names }];
  if (data.gate_means) strips.push({ label: "gate", table: gate, columns, names });
  if (data.time_means) strips.push({ label: "time constant", table: time, columns, names, isLog: true });
  return columns.length > 0 ? strips : [];
}

export function stepAt(x: number, width: number, steps: number): number {
  const share = (x - LEFT) / (width - LEFT - RIGHT);
  return Math.max(0, Math.min(steps - 1, Math.round(share * (steps - 1))));
}

export function drawStrips(shown: Surface, strips: Strip[], step: number, steps: number, look: Colours): void {
  const { context, width } = shown;
  context.clearRect(0, 0, shown.width, shown.height);
  strips.forEach((strip, row) => drawStrip(context, strip, row * STRIP_HEIGHT, width, steps, look));
  const x = LEFT + (steps > 1 ? step / (steps - 1) : 0) * (width - LEFT - RIGHT);
  context.strokeStyle = look.ink;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, strips.length * STRIP_HEIGHT);
  context.stroke();
}

export function rangeOf(strip: Strip): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (let row = 0; row < strip.table.rows; row++) {
    for (const column of strip.columns) {
      const value = shownValue(strip, row, column);
      if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
  }
  if (low > high) return [0, 1];
  return high - low < 1e-9 ? [low - 0.5, high + 0.5] : [low, high];
}

function shownValue(strip: Strip, row: number, column: number): number {
  const value = at(strip.table, row, column);
  return strip.isLog ? Math.log10(value) : value;
}

function drawStrip(
  context: CanvasRenderingContext2D, strip: Strip, top: number, width: number, steps: number, look: Colours,
): void {
  const [low, high] = rangeOf(strip);
  const [above, inside] = [top + 18, STRIP_HEIGHT - 28];
  const place = (row: number, value: number): [number, number] => [
    LEFT + (steps > 1 ? row / (steps - 1) : 0) * (width - LEFT - RIGHT),
    above + inside * (1 - (value - low) / (high - low)),
  ];
  context.fillStyle = look.muted;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "left";
  context.fillText(strip.label, LEFT, top + 12);
  context.textAlign = "right";
  context.fillText(short(strip.isLog ? 10 ** high : high), LEFT - 6, above + 8);
  context.fillText(short(strip.isLog ? 10 ** low : low), LEFT - 6, above + inside);
  context.strokeStyle = look.grid;
  context.lineWidth = 1;
  context.strokeRect(LEFT, above, width - LEFT - RIGHT, inside);
  strip.columns.forEach((column, k) => {
    context.strokeStyle = look.series[k % look.series.length];
    context.lineWidth = strip.columns.length > COLOURS ? 0.9 : 1.3;
    context.setLineDash(DASHES[Math.floor(k / COLOURS) % DASHES.length]);
    context.beginPath();
    for (let row = 0; row < steps; row++) {
      const value = shownValue(strip, row, column);
      if (Number.isFinite(value)) context.lineTo(...place(row, value));
    }
    context.stroke();
  });
  context.setLineDash([]);
}

export interface Key {
  label: string;
  lines: { name: string; colour: string; style: string }[];
  more: number;
}

// Which line is which, of strips with several: as many as differ in colour or dashes, and how many there are besides.
export function keysOf(strips: Strip[]): Key[] {
  const most = COLOURS * DASHES.length;
  return strips.filter((strip) => strip.columns.length > 1).map((strip) => ({
    label: strip.label,
    lines: strip.names.slice(0, most).map((name, k) => ({
      name, colour: `var(--curve-${k % COLOURS})`, style: STYLES[Math.floor(k / COLOURS)],
    })),
    more: Math.max(0, strip.names.length - most),
  }));
}

export function showKeys(root: Element, strips: Strip[]): void {
  root.replaceChildren(...keysOf(strips).map(({ label, lines, more }) => {
    const row = document.createElement("p");
    row.append(`${label}:`);
    for (const { name, colour, style } of lines) {
      const [key, line] = [document.createElement("span"), document.createElement("i")];
      line.style.borderTop = `2px ${style} ${colour}`;
      key.append(line, name);
      row.append(key);
    }
    if (more > 0) row.append(`and ${more} more`);
    return row;
  }));
}

export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.01 || size >= 1e5)) return value.toExponential(1);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}
