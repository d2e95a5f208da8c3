import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import test from "node:test";

import { Policy, type PackedPolicy } from "../src/policy";
import { physics, type Keywords, type Task } from "../src/physics";
import { Random } from "../src/random";
import { Base, wrapped, type Environment, type Knobs } from "../src/world";

const FILE = new URL("golden.json", import.meta.url);
if (!existsSync(FILE)) throw new Error("no build/golden.json: make viewer writes it, by python -m tests.unit.watch.golden");

type Row = [number[], number, number[], number[], ...(number | null)[][]];
type Ends = [boolean, boolean];
interface Golden {
  policies: Record<string, { policy: PackedPolicy; steps: Row[] }>;
  physics: { task: Task; keywords: Keywords; begin: number[]; steps: [number, number[], number[], number, ...Ends][] }[];
  worlds: Record<string, {
    policy: PackedPolicy; environment: Environment; begin: number[]; steps: [number[], number, number, number, ...Ends][];
  }>;
}
const golden = JSON.parse(readFileSync(FILE, "utf8")) as Golden;
const untouched: Knobs = { hold: null, noise: null, dropout: null };

function near(found: ArrayLike<number>, right: ArrayLike<number | null>, most: number, where: string): void {
  assert.equal(found.length, right.length, where);
  for (let k = 0; k < found.length; k++) {
    const value = right[k];
    if (value === null) assert.ok(Number.isNaN(found[k]), `${where}: expected none at ${k}, got ${found[k]}`);
    else assert.ok(Math.abs(found[k] - value) <= most * Math.max(1, Math.abs(value)), `${where}: ${found[k]}, not ${value}`);
  }
}

test("every policy does what predict does", () => {
  assert.ok(Object.keys(golden.policies).length > 40);
  for (const [name, { policy: form, steps }] of Object.entries(golden.policies)) {
    const policy = new Policy(form);
    let state = policy.begin();
    steps.forEach(([obs, dt, action, after, activity, gate, time], k) => {
      const step = policy.step(obs, state, dt);
      near(step.action, action, 1e-5, `${name}, action ${k}`);
      near(step.state, after, 1e-5, `${name}, state ${k}`);
      near(step.activity, activity, 1e-5, `${name}, activity ${k}`);
      near(step.gate, gate, 1e-5, `${name}, gate ${k}`);
      near(step.time_constant.map((one) => 1 / one), time.map((one) => one && 1 / one), 1e-5, `${name}, rate ${k}`);
      state = step.state;
    });
  }
});

test("what is cut puts out zero, keeps nothing, and changes what is done", () => {
  for (const [name, { policy: form, steps }] of Object.entries(golden.policies)) {
    const policy = new Policy(form);
    for (const neuron of [0, policy.n_neurons - 1]) {
      let state = policy.begin();
      let isChanged = false;
      for (const [obs, dt, , after] of steps) {
        const step = policy.step(obs, state, dt, new Set([neuron]));
        assert.equal(step.activity[neuron], 0, name);
        state = step.state;
        isChanged ||= state.some((value, k) => Math.abs(value - after[k]) > 1e-3);
      }
      assert.ok(isChanged, `${name}: ${neuron} is cut, and nothing differs`);
    }
    const every = new Set(Array.from({ length: policy.n_neurons }, (_, k) => k));
    assert.ok(policy.step(steps[0][0], policy.begin(), 1, every).state.every((value) => value === 0), name);
  }
});

test("physics are Gymnasium's, step by step", () => {
  assert.equal(golden.physics.length, 15);
  for (const { task, keywords, begin, steps } of golden.physics) {
    const world = physics(task, keywords);
    const most = task === "MountainCarContinuous" ? 1e-6 : 1e-9; // a state in float32
    let [own, given] = [begin, begin];
    steps.forEach(([action, state, obs, reward, terminated], k) => {
      for (const [one, far] of [[given, most], [own, 1e2 * most]] as const) {
        const moved = world.move(one, action);
        near(moved.state, state, far, `${task}, state ${k}`);
        near(world.observe(moved.state), obs, Math.max(2e-7, far), `${task}, observation ${k}`);
        near([moved.reward], [reward], Math.max(1e-6, far), `${task}, reward ${k}`);
        assert.equal(moved.terminated, terminated, `${task}, end ${k}`);
        own = moved.state;
      }
      given = state;
    });
  }
});

test("a push changes what happens, by as much as it is", () => {
  for (const { task, begin, steps } of golden.physics) {
    const world = physics(task);
    const speeds = { Pendulum: 1, CartPole: 3, MountainCar: 1, MountainCarContinuous: 1 };
    const [left, none, right] = [-0.001, 0, 0.001].map((push) => world.move(begin, steps[0][0], push).state[speeds[task]]);
    assert.ok(left < none && none < right, `${task}: ${left}, ${none}, ${right}`);
  }
});

// A world that begins where Gymnasium's did.
class Begun extends Base {
  constructor(environment: Environment, private readonly first: number[]) {
    super(environment);
  }

  override reset(): number[] {
    return this.begin(this.first);
  }
}

function finish<Kind>(steps: Generator<void, Kind>): Kind {
  for (;;) {
    const { value, done } = steps.next();
    if (done) return value as Kind;
  }
}

test("an agent lives the same episode here, through the same wrappers", () => {
  assert.equal(Object.keys(golden.worlds).length, 7);
  for (const [name, { policy: form, environment, begin, steps }] of Object.entries(golden.worlds)) {
    const policy = new Policy(form);
    const world = wrapped(new Begun(environment, begin), environment.wrappers, form.units, untouched);
    let [seen, state, dt] = [world.reset(0), policy.begin(), 1];
    steps.forEach(([obs, action, reward, time, terminated, truncated], k) => {
      near(seen, obs, 1e-3, `${name}, observation ${k}`);
      const step = policy.step(seen, state, dt);
      near(step.action, [action], 1e-3, `${name}, action ${k}`);
      const answer = finish(world.step(step.action[0]));
      near([answer.reward, answer.dt], [reward, time], 1e-3, `${name}, reward ${k}`);
      assert.deepEqual([answer.terminated, answer.truncated], [terminated, truncated], `${name}, end ${k}`);
      [seen, state, dt] = [answer.observation, step.state, answer.dt];
    });
  }
});

test("knobs turn wrappers, and what they were is as trained", () => {
  const { environment, policy: form } = golden.worlds["pendulum-irregular-time"];
  const knobs: Knobs = { ...untouched };
  const world = wrapped(new Base(environment), environment.wrappers, form.units, knobs);
  world.reset(3);
  const times = (n: number): number[] => Array.from({ length: n }, () => finish(world.step(0.5)).dt);
  assert.deepEqual(times(4), [2, 1, 3, 2]);
  knobs.hold = [5];
  assert.deepEqual(times(2), [5, 5]);
  knobs.hold = [1, 2, 3];
  assert.deepEqual(new Set(times(40)), new Set([1, 2, 3]));
  knobs.dropout = 1;
  assert.deepEqual(finish(world.step(0.5)).observation.slice(0, 2), [0, 0]);
  Object.assign(knobs, { dropout: 0, noise: 100 });
  assert.ok(Math.abs(finish(world.step(0.5)).observation[0]) > 1);
  knobs.noise = 0;
  assert.ok(Math.abs(finish(world.step(0.5)).observation[0]) <= 1);
});

test("random delays drop what is overtaken", () => {
  const { environment, policy: form } = golden.worlds.pendulum;
  const late = { ...environment, wrappers: [{ name: "Delay", kwargs: { actions: 0, observations: [0, 3] } }] };
  const [base, near_by] = [new Base(late), new Base(late)];
  const world = wrapped(base, late.wrappers, form.units, untouched);
  const seen = [world.reset(5)];
  const real = [near_by.reset(5)];
  for (let k = 0; k < 150; k++) {
    seen.push(finish(world.step(1)).observation);
    real.push(finish(near_by.step(1)).observation);
  }
  const age = seen.map((obs, k) => k - real.findIndex((one) => one.every((x, i) => x === obs[i])));
  assert.ok(age.every((one, k) => one >= 0 && one <= 3 && (k === 0 || one <= age[k - 1] + 1)), String(age));
  assert.ok(new Set(age).size > 2);
});

test("chance is spread as it should be, and a seed decides it", () => {
  const drawn = (seed: number, name = "a"): number[] => {
    const random = new Random(seed, name);
    return Array.from({ length: 20_000 }, () => random.normal());
  };
  const one = drawn(1);
  const mean = one.reduce((sum, x) => sum + x, 0) / one.length;
  const spread = one.reduce((sum, x) => sum + (x - mean) ** 2, 0) / one.length;
  assert.ok(Math.abs(mean) < 0.03 && Math.abs(spread - 1) < 0.04, `${mean}, ${spread}`);
  assert.deepEqual(drawn(1), one);
  assert.notEqual(drawn(2)[0], one[0]);
  assert.notEqual(drawn(1, "b")[0], one[0]);
  const random = new Random(1, "whole");
  const counts = [0, 0, 0];
  for (let k = 0; k < 3000; k++) counts[random.whole(3)]++;
  assert.ok(counts.every((n) => Math.abs(n - 1000) < 120), String(counts));
});
