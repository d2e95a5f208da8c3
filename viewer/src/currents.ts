// The current of every synapse at a step: how much its source pushes its target up, or down.

import { activityAt, gateAt, type Lived } from "./data";

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

// A neuron acts on neurons of its own layer, and on itself, from the step before; forward within the step.
export function currentsAt(data: Lived, step: number): Float32Array {
  const now = activityAt(data, step);
  const before = step > 0 ? activityAt(data, step - 1) : new Float32Array(now.length);
  const { source, target, a, b, circuit } = data.arrays;
  const found = new Float32Array(source.rows);
  for (let e = 0; e < found.length; e++) {
    const from = source.values[e];
    const to = target.values[e];
    const isInside = data.neurons[from].layer === data.neurons[to].layer || to < from;
    const x = isInside ? before[from] : now[from];
    if (circuit.rows > 0) {
      const [sigma, mu, strength, pull] = circuit.values.subarray(4 * e, 4 * e + 4);
      found[e] = Number.isNaN(sigma) ? a.values[e] * x : strength * sigmoid(sigma * (x - mu)) * (pull - now[to]);
      continue;
    }
    const open = gateAt(data, step, to);
    const gate = Number.isNaN(open) || data.neurons[to].layer === "memory" ? 0 : open; // what a memory keeps mixes no weights
    found[e] = ((data.mixes ? 1 - gate : 1) * a.values[e] + gate * b.values[e]) * x;
  }
  return found;
}

// The neurons that lead to one, and those that it leads to, along synapses that go forward.
export function pathsOf(data: Lived, neuron: number): Set<number> {
  const layers = [...new Set(data.neurons.map((one) => one.layer))];
  const depth = data.neurons.map((one) => layers.indexOf(one.layer));
  const { source, target } = data.arrays;
  const found = new Set([neuron]);
  for (const [from, to, sign] of [[source, target, -1], [target, source, 1]] as const) {
    let edge = [neuron];
    while (edge.length > 0) {
      const next = new Set<number>();
      for (let e = 0; e < source.rows; e++) {
        const [far, near] = [from.values[e], to.values[e]];
        if (edge.includes(near) && Math.sign(depth[far] - depth[near]) === sign && !found.has(far)) next.add(far);
      }
      edge = [...next];
      for (const one of edge) found.add(one);
    }
  }
  return found;
}
