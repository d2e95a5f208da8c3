// What Python writes into the page, and the numbers made of it. velora/watch/page.py writes the same names.

export interface Packed {
  shape: number[];
  base64: string;
}

export interface Neuron {
  name: string;
  layer: string;
}

// What every picture of a circuit needs, whether an episode is recorded or lived.
export interface Circuit {
  names: { observation: string[]; action: string[] };
  is_discrete: boolean;
  neurons: Neuron[];
  n_sensory: number;
  mixes: boolean;
  gate_means: string;
  time_means: string;
}

export interface PackedData extends Circuit {
  title: string;
  return: number;
  frame_ms: number;
  pictures: string[];
  picture_every: number;
  arrays: Record<ArrayName, Packed>;
}

// (T, ...) along the episode.
export type AlongName =
  | "observation" | "input" | "dt" | "action" | "reward" | "activity" | "gate" | "time_constant" | "output";
// (E,) of synapses: source, target, a, b, and circuit (E, 4) of an LTC, which is (0, 4) else.
export type SynapseName = "source" | "target" | "a" | "b" | "circuit";
export type ArrayName = AlongName | SynapseName;

export interface Table {
  values: Float32Array;
  rows: number;
  columns: number;
}

// A circuit and what it did, step by step.
export interface Lived extends Circuit {
  arrays: Record<ArrayName, Table>;
  steps: number;
}

export type Data = Omit<PackedData, "arrays"> & Lived;

export function unpack(packed: Packed): Table {
  const bytes = Uint8Array.from(atob(packed.base64), (letter) => letter.charCodeAt(0));
  const values = new Float32Array(bytes.buffer, 0, bytes.byteLength / 4);
  const [rows, columns = 1] = packed.shape;
  if (values.length !== rows * columns) throw new Error(`expected ${rows} x ${columns} numbers, got ${values.length}`);
  return { values, rows, columns };
}

export function unpackAll<Name extends string>(packed: Record<Name, Packed>): Record<Name, Table> {
  return Object.fromEntries(
    Object.entries<Packed>(packed).map(([name, one]) => [name, unpack(one)]),
  ) as Record<Name, Table>;
}

export function read(packed: PackedData): Data {
  const arrays = unpackAll(packed.arrays);
  return { ...packed, arrays, steps: arrays.reward.rows };
}

export function at(table: Table, row: number, column: number): number {
  return table.values[row * table.columns + column];
}

// What each neuron of the picture shows at a step: senses what the network reads, outputs what it puts out.
export function activityAt(data: Lived, step: number): Float32Array {
  const { input, activity, output } = data.arrays;
  const shown = new Float32Array(data.neurons.length);
  const inside = data.n_sensory + activity.columns;
  for (let k = 0; k < shown.length; k++) {
    if (k < data.n_sensory) shown[k] = at(input, step, k);
    else if (k < inside) shown[k] = at(activity, step, k - data.n_sensory);
    else shown[k] = at(output, step, k - inside);
  }
  return shown;
}

export function gateAt(data: Lived, step: number, neuron: number): number {
  const k = neuron - data.n_sensory;
  return k < 0 || k >= data.arrays.gate.columns ? NaN : at(data.arrays.gate, step, k);
}
