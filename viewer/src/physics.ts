// Gymnasium's classic control, one control step at a time, in its own order of operations. Test by test compared with it.
// A push is what the visitor adds to the task's own acceleration; without one, nothing differs from Gymnasium.

import type { Random } from "./random";

export interface Moved {
  state: number[];
  reward: number;
  terminated: boolean;
}

export interface Physics {
  begin(random: Random): number[];
  observe(state: readonly number[]): number[];
  move(state: readonly number[], action: number, push?: number): Moved;
}

export type Task = "Pendulum" | "CartPole" | "MountainCar" | "MountainCarContinuous";
export type Keywords = Record<string, number | boolean>;

const f32 = Math.fround;
const clip = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

export function physics(task: Task, keywords: Keywords = {}): Physics {
  return { Pendulum: pendulum, CartPole: cartPole, MountainCar: mountainCar, MountainCarContinuous: mountainCarContinuous }[
    task
  ](keywords);
}

// state: angle from upright, counter-clockwise, and its speed; m = l = 1.
function pendulum({ g = 10 }: Keywords): Physics {
  const dt = 0.05;
  return {
    begin: (random) => [random.between(-Math.PI, Math.PI), random.between(-1, 1)],
    observe: ([angle, speed]) => [Math.cos(angle), Math.sin(angle), speed].map(f32),
    move([angle, speed], action, push = 0) {
      const torque = f32(clip(action, -2, 2));
      const turns = angle + Math.PI;
      const normal = turns - 2 * Math.PI * Math.floor(turns / (2 * Math.PI)) - Math.PI;
      const cost = normal ** 2 + 0.1 * speed ** 2 + f32(f32(0.001) * f32(torque * torque));
      const moved = speed + (((3 * Number(g)) / 2) * Math.sin(angle) + f32(3 * torque) + 3 * push) * dt;
      const next = clip(moved, -8, 8);
      return { state: [angle + next * dt, next], reward: -cost, terminated: false };
    },
  };
}

// state: place and speed of the cart, angle and speed of the pole, clockwise.
function cartPole({ sutton_barto_reward: counts_failure = false }: Keywords): Physics {
  const [gravity, pole, total, length, force, tau] = [9.8, 0.1, 1.1, 0.5, 10, 0.02];
  const widest = (12 * 2 * Math.PI) / 360;
  return {
    begin: (random) => Array.from({ length: 4 }, () => random.between(-0.05, 0.05)),
    observe: (state) => state.map(f32),
    move([x, speed, angle, turning], action, push = 0) {
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      const temp = ((action === 1 ? force : -force) + pole * length * turning ** 2 * sin) / total;
      const bends = (gravity * sin - cos * temp) / (length * (4 / 3 - (pole * cos ** 2) / total));
      const speeds = temp - (pole * length * bends * cos) / total;
      const state = [x + tau * speed, speed + tau * speeds, angle + tau * turning, turning + tau * (bends + push)];
      const terminated = Math.abs(state[0]) > 2.4 || Math.abs(state[2]) > widest;
      return { state, reward: counts_failure ? (terminated ? -1 : 0) : 1, terminated };
    },
  };
}

// state: place and speed.
function mountainCar({ goal_velocity: goal = 0 }: Keywords): Physics {
  return {
    begin: (random) => [random.between(-0.6, -0.4), 0],
    observe: (state) => state.map(f32),
    move(state, action, push = 0) {
      const added = (action - 1) * 0.001 + Math.cos(3 * state[0]) * -0.0025;
      const [place, speed] = rolled(state, added + push);
      return { state: [place, speed], reward: -1, terminated: place >= 0.5 && speed >= Number(goal) };
    },
  };
}

// The same with a force; Gymnasium keeps this state in float32.
function mountainCarContinuous({ goal_velocity: goal = 0 }: Keywords): Physics {
  return {
    begin: (random) => [random.between(-0.6, -0.4), 0],
    observe: (state) => state.map(f32),
    move(state, action, push = 0) {
      const force = f32(action);
      const added = clip(force, -1, 1) * 0.0015 - 0.0025 * Math.cos(3 * state[0]);
      const [place, speed] = rolled(state, added + push);
      const terminated = place >= 0.45 && speed >= Number(goal);
      return { state: [f32(place), f32(speed)], reward: (terminated ? 100 : 0) - 0.1 * force ** 2, terminated };
    },
  };
}

function rolled([place, speed]: readonly number[], added: number): [number, number] {
  const next = clip(speed + added, -0.07, 0.07);
  const at = clip(place + next, -1.2, 0.6);
  return [at, at === -1.2 && next < 0 ? 0 : next];
}
