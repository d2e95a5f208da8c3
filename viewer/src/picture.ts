// Pictures of the tasks, and where a hand pulls at them.

import type { Surface } from "./canvas";
import type { Colours } from "./colours";
import type { Task } from "./physics";

// How far and where to a hand pulls, in parts of its full strength.
export interface Pull {
  x: number;
  y: number;
}

export interface Handle {
  x: number;
  y: number;
}

export interface Scene {
  words(state: readonly number[], action: number): string;
  // Where a hand takes hold, in pixels.
  handle(state: readonly number[], shown: Surface): Handle;
  // What the physics is given of a pull: its part along the way that the handle can move.
  push(state: readonly number[], pull: Pull): number;
  draw(shown: Surface, state: readonly number[], action: number, look: Colours): void;
}

export function sceneOf(task: Task): Scene {
  return { Pendulum: PENDULUM, CartPole: CART_POLE, MountainCar: car(0.5), MountainCarContinuous: car(0.45) }[task];
}

// Between two control steps things stand between their places; those of a policy that isn't playing, at the last.
export function between(before: readonly number[], now: readonly number[], share: number): number[] {
  return now.map((value, k) => before[k] + share * (value - before[k]));
}

const round = (value: number): string => value.toFixed(2);

const PENDULUM: Scene = {
  words: ([angle, speed], action) => `angle ${round(Math.atan2(Math.sin(angle), Math.cos(angle)))}, speed ${round(speed)}, torque ${round(action)}`,
  push: ([angle], { x, y }) => 6 * (-Math.cos(angle) * x + Math.sin(angle) * y),
  handle([angle], { width, height }) {
    const length = 0.38 * Math.min(width, height);
    return { x: width / 2 - length * Math.sin(angle), y: height / 2 - length * Math.cos(angle) };
  },
  draw(shown, state, action, look) {
    const { context, width, height } = shown;
    const [x, y] = [width / 2, height / 2];
    const size = Math.min(width, height);
    const bob = this.handle(state, shown);
    context.strokeStyle = look.grid;
    context.lineWidth = 1;
    circle(context, x, y, 0.38 * size);
    context.stroke();
    context.lineCap = "round";
    line(context, [[x, y], [bob.x, bob.y]], look.ink, 0.035 * size);
    dot(context, bob.x, bob.y, 0.05 * size, look.series[2]);
    dot(context, x, y, 0.018 * size, look.paper);
    if (!action) return;
    context.strokeStyle = action > 0 ? look.up : look.down;
    context.lineWidth = 0.018 * size;
    context.beginPath();
    const end = -Math.PI / 2 - action * 0.7;
    context.arc(x, y, 0.13 * size, -Math.PI / 2, end, action > 0);
    context.stroke();
    dot(context, x + 0.13 * size * Math.cos(end), y + 0.13 * size * Math.sin(end), 0.02 * size, action > 0 ? look.up : look.down);
  },
};

const CART_POLE: Scene = {
  words: ([x, , angle], action) => `cart at ${round(x)}, pole at ${round(angle)}, ${action === 1 ? "pushed right" : "pushed left"}`,
  push: ([, , angle], { x, y }) => 7 * (Math.cos(angle) * x + Math.sin(angle) * y),
  handle([x, , angle], { width, height }) {
    const scale = width / 5.4;
    return { x: width / 2 + x * scale + 1.3 * scale * Math.sin(angle), y: 0.72 * height - 1.3 * scale * Math.cos(angle) };
  },
  draw(shown, state, action, look) {
    const { context, width, height } = shown;
    const scale = width / 5.4;
    const [x, y] = [width / 2 + state[0] * scale, 0.72 * height];
    context.lineCap = "round";
    line(context, [[0, y + 0.16 * scale], [width, y + 0.16 * scale]], look.grid, 2);
    for (const end of [-2.4, 2.4]) {
      const at = width / 2 + end * scale;
      line(context, [[at, y - 0.1 * scale], [at, y + 0.42 * scale]], look.grid, 2);
    }
    context.fillStyle = look.muted;
    context.fillRect(x - 0.32 * scale, y - 0.14 * scale, 0.64 * scale, 0.28 * scale);
    const top = this.handle(state, shown);
    line(context, [[x, y], [top.x, top.y]], look.series[2], 0.11 * scale);
    dot(context, x, y, 0.05 * scale, look.paper);
    arrow(context, x, y + 0.32 * scale, action === 1 ? 0.5 * scale : -0.5 * scale, action === 1 ? look.up : look.down);
  },
};

function car(goal: number): Scene {
  const hill = (x: number): number => 0.45 * Math.sin(3 * x) + 0.55;
  const place = (x: number, { width, height }: Surface): Handle => ({
    x: ((x + 1.25) / 1.9) * width, y: 0.86 * height - 0.68 * height * hill(x),
  });
  const slope = (x: number): number => {
    const rise = 1.35 * Math.cos(3 * x);
    return 1 / Math.hypot(1, rise);
  };
  return {
    words: ([x, speed], action) => `car at ${round(x)}, speed ${speed.toFixed(3)}, force ${round(action)}`,
    push: ([x], pull) => 0.003 * (pull.x * slope(x) - pull.y * Math.sqrt(1 - slope(x) ** 2) * Math.sign(Math.cos(3 * x))),
    handle: ([x], shown) => place(x, shown),
    draw(shown, [x], action, look) {
      const { context, height } = shown;
      const way: [number, number][] = [];
      for (let at = -1.2; at <= 0.601; at += 0.03) way.push(Object.values(place(at, shown)) as [number, number]);
      context.lineCap = "round";
      line(context, way, look.muted, 2);
      const flag = place(goal, shown);
      line(context, [[flag.x, flag.y], [flag.x, flag.y - 0.16 * height]], look.ink, 2);
      context.fillStyle = look.series[2];
      context.fillRect(flag.x, flag.y - 0.16 * height, 0.07 * height, 0.05 * height);
      const [here, next] = [place(x, shown), place(x + 0.01, shown)];
      context.save();
      context.translate(here.x, here.y);
      context.rotate(Math.atan2(next.y - here.y, next.x - here.x));
      context.fillStyle = look.series[2];
      context.fillRect(-0.07 * height, -0.085 * height, 0.14 * height, 0.05 * height);
      dot(context, -0.04 * height, -0.025 * height, 0.025 * height, look.ink);
      dot(context, 0.04 * height, -0.025 * height, 0.025 * height, look.ink);
      const force = goal === 0.5 ? action - 1 : action;
      if (force) arrow(context, 0, -0.13 * height, 0.12 * height * force, force > 0 ? look.up : look.down);
      context.restore();
    },
  };
}

type Context = CanvasRenderingContext2D;

function circle(context: Context, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

function dot(context: Context, x: number, y: number, radius: number, colour: string): void {
  circle(context, x, y, radius);
  context.fillStyle = colour;
  context.fill();
}

function line(context: Context, way: [number, number][], colour: string, width: number): void {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  for (const point of way) context.lineTo(...point);
  context.stroke();
}

// An arrow along x, as long as it says.
export function arrow(context: Context, x: number, y: number, length: number, colour: string): void {
  const tip = Math.sign(length) * Math.min(7, Math.abs(length));
  line(context, [[x, y], [x + length, y]], colour, 3);
  line(context, [[x + length - tip, y - 5], [x + length, y], [x + length - tip, y + 5]], colour, 3);
}
