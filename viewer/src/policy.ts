// A policy, step by step: the arithmetic of velora/export/replay.py, in float64, from velora/export/json_form.py.

import { unpack, unpackAll, type Packed, type Table } from "./data";

export type Kind =
  | "CFC" | "CFC_NO_GATE" | "CFC_PURE" | "GRU" | "TANH" | "RELU" | "LSTM" | "LTC" | "LEAKY" | "LEAKY_NO_RESET"
  | "LSTM_LAYER" | "GRU_D";

export interface PackedLayer {
  kind: Kind;
  n_in: number;
  n: number;
  state_at: number;
  unfolds: number;
  tensors: Record<string, Packed>;
}

export interface PackedPolicy {
  n_observations: number;
  n_state: number;
  layers: PackedLayer[];
  readout: {
    kind: "SLICE" | "AFFINE" | "LINEAR"; state_at: number; n_in: number; n_out: number;
    weight: Packed | null; bias: Packed | null; squash: boolean;
  };
  choice: "AS_IS" | "TANH" | "LARGEST";
  units: { low: number[]; high: number[]; half: number[] } | { n: number; first: number };
  normalisation: { mean: Packed; factor: Packed; most: number } | null;
  reads_log_dt: boolean;
  tells_time: boolean;
  reads_dt: boolean;
}

// What a step gives: activity, gate and time constant of every neuron, in the order of the layers, as
// velora/watch/neurons.py; NaN where a neuron has no such number.
export interface Step {
  action: number[];
  state: Numbers;
  input: Numbers;
  output: Numbers;
  activity: Numbers;
  gate: Numbers;
  time_constant: Numbers;
}

export type Numbers = Float64Array<ArrayBuffer>;
type Layer = Omit<PackedLayer, "tensors"> & { tensors: Record<string, Table>; first: number };

const LONGEST_TIME = 1e6;
const NONE: ReadonlySet<number> = new Set();

const sigmoid = (x: number): number => 0.5 + 0.5 * Math.tanh(0.5 * x);
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const inverse = (rate: number): number => Math.min(1 / rate, LONGEST_TIME);

export class Policy {
  readonly n_neurons: number;
  private readonly layers: Layer[];
  private readonly weight: Table | null;
  private readonly bias: Table | null;
  private readonly mean: Table | null;
  private readonly factor: Table | null;

  constructor(readonly form: PackedPolicy) {
    let first = 0;
    this.layers = form.layers.map((layer) => {
      first += layer.n;
      return { ...layer, tensors: unpackAll(layer.tensors), first: first - layer.n };
    });
    this.n_neurons = first;
    const { weight, bias } = form.readout;
    this.weight = weight && unpack(weight);
    this.bias = bias && unpack(bias);
    this.mean = form.normalisation && unpack(form.normalisation.mean);
    this.factor = form.normalisation && unpack(form.normalisation.factor);
  }

  begin(): Numbers {
    return new Float64Array(this.form.n_state);
  }

  // Compute a step; neurons that are cut, by their places in the order of the layers, put out zero and keep nothing.
  step(observation: ArrayLike<number>, state: Numbers, dt = 1, cut = NONE): Step {
    const { form } = this;
    const input = this.read(observation, dt);
    const made: Step = {
      action: [], state: state.slice(), input, output: new Float64Array(0), activity: new Float64Array(this.n_neurons),
      gate: new Float64Array(this.n_neurons).fill(NaN), time_constant: new Float64Array(this.n_neurons).fill(NaN),
    };
    const time = form.tells_time ? dt : 1;
    let [x, before] = [input, state];
    for (const layer of this.layers) {
      const { n, state_at: at, first } = layer;
      const isCut = (k: number): boolean => cut.has(first + k);
      if (layer.kind === "LSTM") {
        before = remember(layer, input, before, made, isCut);
        continue;
      }
      const h = before.slice(at, at + n);
      const next = made.state.subarray(at, at + n);
      if (layer.kind === "LTC") settle(layer, x, h, time, next, made, isCut);
      else if (layer.kind === "LSTM_LAYER") {
        const memory = made.state.subarray(at - n, at);
        memorise(heads(layer, x, h), n, before.slice(at - n, at), memory, next, made, first);
        for (let k = 0; k < n; k++) if (isCut(k)) memory[k] = 0;
      } else move(layer, x, h, time, next, made);
      for (let k = 0; k < n; k++) if (isCut(k)) next[k] = 0;
      made.activity.set(next, first);
      x = next;
    }
    made.output = this.output(made.state);
    made.action = this.choose(made.output);
    return made;
  }

  private read(observation: ArrayLike<number>, dt: number): Numbers {
    const { n_observations: n, normalisation, reads_log_dt } = this.form;
    const x = new Float64Array(n + (reads_log_dt ? 1 : 0));
    for (let k = 0; k < n; k++) {
      x[k] = observation[k];
      if (normalisation === null) continue;
      const { most } = normalisation;
      x[k] = Math.max(-most, Math.min(most, (x[k] - this.mean!.values[k]) * this.factor!.values[k]));
    }
    if (reads_log_dt) x[n] = Math.log(dt);
    return x;
  }

  private output(state: Numbers): Numbers {
    const { kind, state_at, n_in, n_out, squash } = this.form.readout;
    const read = state.subarray(state_at, state_at + n_in);
    let out = read.slice(0, n_out);
    if (kind === "LINEAR") out = linear(this.weight!, this.bias!, [read]);
    else if (kind === "AFFINE") out = out.map((value, k) => this.weight!.values[k] * value + this.bias!.values[k]);
    return squash ? out.map(Math.tanh) : out;
  }

  private choose(out: Numbers): number[] {
    const { units, choice } = this.form;
    if ("n" in units) return [out.indexOf(Math.max(...out)) + units.first];
    return Array.from(out, (value, k) => {
      const chosen = choice === "TANH" ? Math.tanh(value) : value;
      return Math.max(units.low[k], Math.min(units.high[k], units.low[k] + (chosen + 1) * units.half[k]));
    });
  }
}

// ---------------------------------------------------------------------------------------------------------- layers

function linear(weight: Table, bias: Table, parts: Numbers[]): Numbers {
  const { values, rows, columns } = weight;
  const out = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    let [sum, at] = [bias.values[row], row * columns];
    for (const part of parts) for (let k = 0; k < part.length; k++) sum += values[at++] * part[k];
    out[row] = sum;
  }
  return out;
}

// The linear heads of a layer, one after the other; those of a layer without a state read the input alone.
function heads(layer: Layer, x: Numbers, h: Numbers): Numbers {
  const { weight, bias } = layer.tensors;
  return linear(weight, bias, weight.columns > layer.n_in ? [x, h] : [x]);
}

function move(layer: Layer, x: Numbers, old: Numbers, dt: number, next: Numbers, made: Step): void {
  const { n, first, tensors, kind } = layer;
  const { gate, time_constant: time } = made;
  const h = kind === "GRU_D" ? old.map((value, k) => value * Math.exp(-decay(tensors, k, dt))) : old;
  const found = heads(layer, x, h);
  for (let k = 0; k < n; k++) {
    const [a, b, c, d] = [found[k], found[n + k], found[2 * n + k], found[3 * n + k]];
    const at = first + k;
    switch (kind) {
      case "CFC":
      case "CFC_NO_GATE": {
        const open = sigmoid(c * dt + d);
        next[k] = (kind === "CFC" ? 1 - open : 1) * Math.tanh(a) + open * Math.tanh(b);
        [gate[at], time[at]] = [open, inverse(Math.abs(c))];
        break;
      }
      case "CFC_PURE": {
        const rate = Math.abs(tensors.w_tau.values[k]) + Math.abs(a);
        const most = tensors.A.values[k];
        next[k] = most * (1 - Math.exp(-dt * rate) * a);
        time[at] = inverse(rate);
        break;
      }
      case "GRU":
      case "GRU_D": {
        const kept = sigmoid(b);
        next[k] = (1 - kept) * Math.tanh(c + sigmoid(a) * d) + kept * h[k];
        gate[at] = kept;
        if (kind === "GRU_D") time[at] = inverse(decay(tensors, k, dt) / dt);
        break;
      }
      case "LEAKY":
      case "LEAKY_NO_RESET": {
        const rate = softplus(kind === "LEAKY" ? b : a);
        const target = Math.tanh(kind === "LEAKY" ? c + sigmoid(a) * d : b);
        const kept = Math.exp(-dt * rate);
        next[k] = (1 - kept) * target + kept * h[k];
        [gate[at], time[at]] = [kept, inverse(rate)];
        break;
      }
      case "TANH":
        next[k] = Math.tanh(a);
        break;
      case "RELU":
        next[k] = Math.max(a, 0);
        break;
      default:
        throw new Error(`no formula for ${kind}`);
    }
  }
}

function decay(tensors: Record<string, Table>, k: number, dt: number): number {
  return Math.max(0, dt * tensors.decay_weight.values[k] + tensors.decay_bias.values[k]);
}

function memorise(
  found: Numbers, n: number, old: Numbers, memory: Numbers, revealed: Numbers, made: Step, first: number,
): void {
  for (let k = 0; k < n; k++) {
    const keep = sigmoid(found[2 * n + k]);
    memory[k] = keep * old[k] + sigmoid(found[n + k]) * Math.tanh(found[k]);
    revealed[k] = sigmoid(found[3 * n + k]) * Math.tanh(memory[k]);
    made.gate[first + k] = keep;
  }
}

// The memory before a circuit: what it reveals is the old state of all layers after it.
function remember(
  layer: Layer, input: Numbers, before: Numbers, made: Step, isCut: (k: number) => boolean,
): Numbers {
  const { n, first } = layer;
  const memory = made.state.subarray(n, 2 * n);
  const revealed = before.slice();
  memorise(heads(layer, input, before.slice(0, n)), n, before.slice(n, 2 * n), memory, revealed, made, first);
  for (let k = 0; k < n; k++) {
    if (isCut(k)) memory[k] = revealed[k] = 0;
    made.activity[first + k] = revealed[k];
  }
  revealed.set(memory, n);
  return revealed;
}

// Sub-steps of an LTC, semi-implicit; a neuron that is cut stays at zero in all of them.
function settle(
  layer: Layer, x: Numbers, old: Numbers, dt: number, next: Numbers, made: Step, isCut: (k: number) => boolean,
): void {
  const { n, first, tensors, unfolds } = layer;
  const { leak, vleak, capacity, input_w: scale, input_b: shift } = tensors;
  const sensed = x.map((value, k) => value * scale.values[k] + shift.values[k]);
  const [pull, open] = currents(tensors, "sensory_", sensed, n);
  for (let k = 0; k < n; k++) {
    pull[k] += leak.values[k] * vleak.values[k];
    open[k] += leak.values[k];
  }
  const step = dt / unfolds;
  next.set(old);
  for (let turn = 0; turn < unfolds; turn++) {
    const [drawn, more] = currents(tensors, "", next, n);
    for (let k = 0; k < n; k++) {
      const slow = capacity.values[k];
      const v = (slow * next[k] + step * (pull[k] + drawn[k])) / (slow + step * (open[k] + more[k]));
      next[k] = isCut(k) ? 0 : v;
    }
  }
  const [, after] = currents(tensors, "", next, n);
  for (let k = 0; k < n; k++) made.time_constant[first + k] = capacity.values[k] / (open[k] + after[k]);
}

function currents(tensors: Record<string, Table>, prefix: string, v: Numbers, n: number): [Numbers, Numbers] {
  const [sigma, mu, strength, erev] = ["sigma", "mu", "strength", "erev"].map((name) => tensors[prefix + name].values);
  const [pull, open] = [new Float64Array(n), new Float64Array(n)];
  for (let source = 0, at = 0; source < v.length; source++) {
    for (let k = 0; k < n; k++, at++) {
      if (strength[at] === 0) continue;
      const opening = sigmoid(sigma[at] * (v[source] - mu[at])) * strength[at];
      pull[k] += opening * erev[at];
      open[k] += opening;
    }
  }
  return [pull, open];
}
