// A policy at work in its own world: what the page shows of it, and what the visitor does to it.

import { scaleOf, type Scale } from "./circuit";
import { unpackAll, type AlongName, type Circuit, type Lived, type Packed, type SynapseName, type Table } from "./data";
import { sceneOf, type Pull, type Scene } from "./picture";
import { Policy, type PackedPolicy } from "./policy";
import { Base, wrapped, type Environment, type Knobs } from "./world";

export interface PackedLane {
  name: string;
  policy: PackedPolicy;
  circuit: Circuit;
  synapses: Record<SynapseName, Packed>;
  environment: Environment;
}

// Everything that the visitor turns for all policies at once.
export interface Hand extends Knobs {
  off: Set<string>;
  tellsTime: boolean;
  pull: Pull;
}

export const untouched = (): Hand => ({
  hold: null, noise: null, dropout: null, off: new Set(), tellsTime: true, pull: { x: 0, y: 0 },
});

const ROWS = 160; // decisions that the strips go back
const MOST_RETURNS = 20;

export class Lane {
  readonly policy: Policy;
  readonly lived: Lived;
  readonly scene: Scene;
  readonly scale: Scale;
  readonly cut = new Set<number>(); // by places in the circuit
  readonly returns: number[] = [];
  before: readonly number[] = [];
  action = NaN;
  earned = 0;
  isOver = false;
  private readonly base: Base;
  private running!: Generator<void, void>;

  constructor(readonly packed: PackedLane, private readonly hand: Hand) {
    const { circuit, environment } = packed;
    this.policy = new Policy(packed.policy);
    this.scene = sceneOf(environment.task);
    this.base = new Base(environment, (state) => this.scene.push(state, hand.pull));
    const [seen, acts] = [circuit.names.observation.length, circuit.names.action.length];
    const { n_neurons, form } = this.policy;
    const columns: Record<AlongName, number> = {
      observation: seen, input: circuit.n_sensory, dt: 1, action: acts, reward: 1, activity: n_neurons, gate: n_neurons,
      time_constant: n_neurons, output: form.readout.n_out,
    };
    const along = Object.fromEntries(Object.entries(columns).map(([name, n]) => [name, blank(n)])) as Record<AlongName, Table>;
    this.lived = { ...circuit, arrays: { ...along, ...unpackAll(packed.synapses) }, steps: ROWS };
    this.scale = this.tryOut();
    this.start(0);
  }

  // Begin an episode; what was seen of the last one is forgotten.
  start(seed: number): void {
    for (const name of ["observation", "dt", "action", "reward"] as const) this.lived.arrays[name].values.fill(NaN);
    for (const name of ["input", "activity", "gate", "time_constant", "output"] as const) this.lived.arrays[name].values.fill(0);
    this.isOver = false;
    this.earned = 0;
    this.running = this.live(seed);
    this.tick();
  }

  // Let a control step pass.
  tick(): void {
    this.before = this.base.state;
    if (!this.isOver) this.running.next();
  }

  get state(): readonly number[] {
    return this.base.state;
  }

  get taken(): number {
    return this.base.taken;
  }

  sees(neuron: number): string | null {
    return this.lived.names.observation[neuron] ?? null;
  }

  isCircuit(neuron: number): boolean {
    const k = neuron - this.lived.n_sensory;
    return k >= 0 && k < this.policy.n_neurons;
  }

  private *live(seed: number): Generator<void, void> {
    const { packed, hand, policy, lived } = this;
    const world = wrapped(this.base, packed.environment.wrappers, packed.policy.units, hand);
    let [seen, dt, state] = [world.reset(seed), 1, policy.begin()];
    this.before = this.base.state;
    yield;
    for (;;) {
      const shown = seen.map((x, k) => (hand.off.has(lived.names.observation[k]) ? 0 : x));
      const cut = new Set([...this.cut].map((k) => k - lived.n_sensory));
      const step = policy.step(shown, state, hand.tellsTime ? dt : 1, cut);
      state = step.state;
      this.action = step.action[0];
      this.note({ ...step, observation: shown, dt: [dt], reward: [NaN] });
      const answer = yield* world.step(this.action);
      [seen, dt] = [answer.observation, answer.dt];
      this.earned += answer.reward;
      this.lived.arrays.reward.values[ROWS - 1] = answer.reward;
      if (answer.terminated || answer.truncated) break;
    }
    this.returns.push(this.earned);
    if (this.returns.length > MOST_RETURNS) this.returns.shift();
    this.isOver = true;
  }

  private note(row: Record<AlongName, ArrayLike<number>>): void {
    for (const name of Object.keys(row) as AlongName[]) {
      const table = this.lived.arrays[name];
      if (table === undefined) continue;
      table.values.copyWithin(0, table.columns);
      table.values.set(row[name], table.values.length - table.columns);
    }
  }

  // Live an episode before anybody looks, to know how much neurons and synapses do.
  private tryOut(): Scale {
    this.start(1);
    for (let turn = 0; turn < 2 * ROWS && !this.isOver; turn++) this.tick();
    this.returns.length = 0;
    return scaleOf(this.lived);
  }
}

function blank(columns: number): Table {
  return { values: new Float32Array(ROWS * columns).fill(NaN), rows: ROWS, columns };
}
