// An environment with Velora's wrappers around it, as velora/envs/wrappers: the same, but for the numbers that chance draws.
// A step is a generator that yields once for each control step, so that the page can show what happens meanwhile.

import { physics, type Keywords, type Physics, type Task } from "./physics";
import { Random } from "./random";

export interface Described {
  name: string;
  kwargs: Record<string, unknown>;
}

export type Actions = { low: number[]; high: number[] } | { n: number; first: number };

// Written by velora/watch/task.py; wrappers from the inside out, each that a knob turns among them.
export interface Environment {
  task: Task;
  keywords: Keywords;
  limit: number | null;
  control_step_s: number;
  wrappers: Described[];
}

// What the visitor has set; null is as the policy was trained.
export interface Knobs {
  hold: number[] | null;
  noise: number | null;
  dropout: number | null;
}

export interface Answer {
  observation: number[];
  reward: number;
  terminated: boolean;
  truncated: boolean;
  dt: number;
}

export interface World {
  reset(seed: number): number[];
  step(action: number): Generator<void, Answer>;
}

// The task itself, with its time limit.
export class Base implements World {
  state: number[] = [];
  taken = 0;
  private readonly physics: Physics;

  constructor(readonly environment: Environment, private readonly push: (state: readonly number[]) => number = () => 0) {
    this.physics = physics(environment.task, environment.keywords);
  }

  reset(seed: number): number[] {
    return this.begin(this.physics.begin(new Random(seed, "reset")));
  }

  begin(state: number[]): number[] {
    this.state = state;
    this.taken = 0;
    return this.physics.observe(state);
  }

  *step(action: number): Generator<void, Answer> {
    const { state, reward, terminated } = this.physics.move(this.state, action, this.push(this.state));
    this.state = state;
    this.taken++;
    yield;
    const truncated = this.environment.limit !== null && this.taken >= this.environment.limit;
    return { observation: this.physics.observe(this.state), reward, terminated, truncated, dt: 1 };
  }
}

export function wrapped(base: World, wrappers: readonly Described[], actions: Actions, knobs: Knobs): World {
  return wrappers.reduce((inner, { name, kwargs }) => {
    const make = WRAPPERS[name];
    if (make === undefined) throw new Error(`the page has no wrapper ${name}`);
    return make(inner, kwargs, actions, knobs);
  }, base);
}

type Make = (inner: World, kwargs: Record<string, any>, actions: Actions, knobs: Knobs) => World;

const WRAPPERS: Record<string, Make> = {
  HoldAction(inner, { hold, order }, _, knobs) {
    let [chance, taken] = [new Random(0, ""), 0];
    return {
      reset(seed) {
        [chance, taken] = [new Random(seed, "HoldAction"), 0];
        return inner.reset(seed);
      },
      *step(action) {
        const choices: number[] = knobs.hold ?? hold;
        const inTurn = knobs.hold === null && order === "cycle";
        const held = choices[inTurn ? taken++ % choices.length : chance.whole(choices.length)];
        let [reward, dt] = [0, 0];
        for (let turn = 1; ; turn++) {
          const answer = yield* inner.step(action);
          reward += answer.reward;
          dt += answer.dt;
          if (turn >= held || answer.terminated || answer.truncated) return { ...answer, reward, dt };
        }
      },
    };
  },

  PrivilegedState: (inner) => inner,

  DropObservation: (inner, { drop }) => seen(inner, (obs) => obs.filter((_, k) => !drop.includes(k))),

  NoisyObservation(inner, { std }, _, knobs) {
    const own = (k: number): number => knobs.noise ?? (Array.isArray(std) ? std[k] : std);
    return seen(inner, (obs, chance) => obs.map((x, k) => Math.fround(x + own(k) * chance.normal())), "NoisyObservation");
  },

  Flicker(inner, { probability }, _, knobs) {
    const fails = (chance: Random): boolean => chance.uniform() < (knobs.dropout ?? probability);
    return seen(inner, (obs, chance) => (fails(chance) ? obs.map(() => 0) : obs), "Flicker");
  },

  Delay(inner, { actions: late, observations }, actions) {
    const [sent, seenLate] = [new Line<number>(late ?? 0), new Line<number[]>(observations ?? 0)];
    const neutral = "n" in actions ? actions.first : Math.max(actions.low[0], Math.min(actions.high[0], 0));
    return {
      reset(seed) {
        const obs = inner.reset(seed);
        sent.start(neutral, new Random(seed, "Delay actions"));
        seenLate.start(obs, new Random(seed, "Delay observations"));
        return obs;
      },
      *step(action) {
        const answer = yield* inner.step(sent.carry(action));
        return { ...answer, observation: seenLate.carry(answer.observation) };
      },
    };
  },

  PreviousActionReward(inner, _, actions) {
    const numbers = (action: number): number[] => {
      if ("n" in actions) return Array.from({ length: actions.n }, (_, k) => Number(k === action - actions.first));
      const [low, half] = [actions.low[0], 0.5 * (actions.high[0] - actions.low[0])];
      return [Math.max(-1, Math.min(1, (action - low) / half - 1))];
    };
    const nothing = [...numbers(NaN).map(() => 0), 0];
    return {
      reset: (seed) => [...inner.reset(seed), ...nothing],
      *step(action) {
        const answer = yield* inner.step(action);
        const more = [...numbers(action), answer.reward].map(Math.fround);
        return { ...answer, observation: [...answer.observation, ...more] };
      },
    };
  },
};

function seen(inner: World, look: (obs: number[], chance: Random) => number[], name = ""): World {
  let chance = new Random(0, name);
  return {
    reset(seed) {
      chance = new Random(seed, name);
      return look(inner.reset(seed), chance);
    },
    *step(action) {
      const answer = yield* inner.step(action);
      return { ...answer, observation: look(answer.observation, chance) };
    },
  };
}

// A line on which things take some steps; the newest that has arrived counts, and what is overtaken is dropped.
class Line<Thing> {
  private readonly least: number;
  private readonly most: number;
  private underWay: { due: number; thing: Thing }[] = [];
  private arrived!: Thing;
  private chance!: Random;
  private now = 0;

  constructor(delay: number | [number, number]) {
    [this.least, this.most] = typeof delay === "number" ? [delay, delay] : delay;
  }

  start(first: Thing, chance: Random): void {
    [this.underWay, this.arrived, this.chance, this.now] = [[], first, chance, 0];
  }

  carry(sent: Thing): Thing {
    const due = this.now + this.least + this.chance.whole(this.most - this.least + 1);
    this.underWay = this.underWay.filter((one) => one.due < due);
    this.underWay.push({ due, thing: sent });
    if (this.underWay[0].due === this.now) this.arrived = this.underWay.shift()!.thing;
    this.now++;
    return this.arrived;
  }
}
