import assert from "node:assert/strict";
import test from "node:test";

import { currentsAt, pathsOf } from "../src/currents";
import { activityAt, read, unpack, type ArrayName, type Packed, type PackedData } from "../src/data";
import { arrange, nearest } from "../src/layout";
import { keysOf, rangeOf, short, stepAt, type Strip } from "../src/strips";

const pack = (shape: number[], ...values: number[]): Packed => ({
  shape,
  base64: Buffer.from(new Float32Array(values).buffer).toString("base64"),
});

// One sense, two neurons in a row, one output; two steps.
const made = (more: Partial<Record<ArrayName, Packed>> = {}, mixes = true): PackedData => ({
  title: "t", return: 3, frame_ms: 50, names: { observation: ["x"], action: ["force"] }, is_discrete: false,
  neurons: ["sensory", "inter", "motor", "output"].map((layer) => ({ name: `${layer} 1`, layer })),
  n_sensory: 1, mixes, gate_means: "share", time_means: "", pictures: [], picture_every: 1,
  arrays: {
    observation: pack([2, 1], 2, 3), input: pack([2, 1], 2, 3), dt: pack([2], 1, 1), action: pack([2, 1], 0, 1),
    reward: pack([2], 1, 2), activity: pack([2, 2], 0.5, -0.5, 0.25, 1), gate: pack([2, 2], 0.25, NaN, 0.5, NaN),
    time_constant: pack([2, 2], 1, 1, 1, 1), output: pack([2, 1], 7, 8),
    source: pack([4], 0, 1, 2, 1), target: pack([4], 1, 2, 3, 1), a: pack([4], 1, 2, 3, 4), b: pack([4], 5, 0, 0, 8),
    circuit: pack([0, 4]), ...more,
  },
});

test("numbers come out of their text as they went in", () => {
  const table = unpack(pack([2, 2], 1, 2, 3, 0.1));
  assert.deepEqual([...table.values], [1, 2, 3, Math.fround(0.1)]);
  assert.throws(() => unpack({ shape: [3, 2], base64: "AAAAAA==" }), /expected 3 x 2 numbers, got 1/);
});

test("what neurons show is what is sensed, what they do and what is put out", () => {
  assert.deepEqual([...activityAt(read(made()), 1)], [3, 0.25, 1, 8]);
});

test("a current is the blended weight times the activity of its source", () => {
  const data = read(made());
  // (0.75 * 1 + 0.25 * 5) * 2; no gate: 2 * 0.5; 3 * -0.5; and to itself, from the step before: nothing.
  assert.deepEqual([...currentsAt(data, 0)], [4, 1, -1.5, 0]);
  // (0.5 * 1 + 0.5 * 5) * 3, 2 * 0.25, 3 * 1, (0.5 * 4 + 0.5 * 8) * 0.5
  assert.deepEqual([...currentsAt(data, 1)], [9, 0.5, 3, 3]);
  assert.equal(currentsAt(read(made({}, false)), 0)[0], (1 + 0.25 * 5) * 2);
});

test("the gate of a memory, what it keeps, mixes no weights", () => {
  const data = made();
  data.neurons[1].layer = "memory";
  assert.equal(currentsAt(read(data), 0)[0], 1 * 2);
});

test("a current of an LTC goes by how far the synapse is open, and by what it pulls to", () => {
  const circuit = pack([4, 4], 1, 2, 3, -1, NaN, NaN, NaN, NaN, NaN, NaN, NaN, NaN, NaN, NaN, NaN, NaN);
  const currents = currentsAt(read(made({ circuit })), 0);
  assert.equal(currents[0], 3 * 0.5 * (-1 - 0.5));
  assert.equal(currents[1], 2 * 0.5);
});

test("paths go forward and back, not sideways", () => {
  assert.deepEqual([...pathsOf(read(made()), 2)].sort(), [0, 1, 2, 3]);
  assert.deepEqual([...pathsOf(read(made()), 0)].sort(), [0, 1, 2, 3]);
});

test("neurons stand in columns, and a click finds them", () => {
  const { places, columns } = arrange(read(made()).neurons, 400, 300);
  assert.deepEqual(columns.map((one) => one.name), ["sensory", "inter", "motor", "output"]);
  assert.ok(places.every((one, k) => k === 0 || one.x > places[k - 1].x));
  assert.equal(nearest(places, places[2].x + 3, places[2].y), 2);
  assert.equal(nearest(places, 5, 5), null);
});

test("strips know their range, and a pointer its step", () => {
  const strip = { label: "", names: [], columns: [0], table: unpack(pack([3, 1], -1, NaN, 3)) };
  assert.deepEqual(rangeOf(strip), [-1, 3]);
  assert.deepEqual(rangeOf({ ...strip, isLog: true, table: unpack(pack([2, 1], 10, 1000)) }), [1, 3]);
  assert.equal(stepAt(64, 400, 100), 0);
  assert.equal(stepAt(390, 400, 100), 99);
  assert.equal(stepAt(-5, 400, 100), 0);
});

test("numbers are short", () => {
  assert.deepEqual([0, 0.5, -12.34, 1234, 1e-4, NaN].map(short), ["0.00", "0.50", "-12.3", "1234", "1.0e-4", "-"]);
});

test("strips of several lines say which is which, in colours and then in dashes", () => {
  const table = { values: new Float32Array(0), rows: 0, columns: 0 };
  const of = (label: string, n: number): Strip => {
    const columns = Array.from({ length: n }, (_, k) => k);
    return { label, table, columns, names: columns.map((k) => `x[${k}]`) };
  };
  const [one, ...others] = keysOf([of("observation", 26), of("reward", 1)]);
  assert.equal(others.length, 0);
  assert.deepEqual([one.label, one.lines.length, one.more], ["observation", 24, 2]);
  assert.deepEqual(one.lines[9], { name: "x[9]", colour: "var(--curve-1)", style: "dashed" });
  assert.equal(new Set(one.lines.map(({ colour, style }) => colour + style)).size, 24);
});
