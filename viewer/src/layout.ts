// Where neurons stand: a column for each layer, from what is sensed on the left to what is put out on the right.

import type { Neuron } from "./data";

export interface Place {
  x: number;
  y: number;
  radius: number;
}

export interface Layout {
  places: Place[];
  columns: { name: string; x: number; n: number }[];
}

const TOP = 42;

export function arrange(neurons: Neuron[], width: number, height: number): Layout {
  const names = [...new Set(neurons.map((one) => one.layer))];
  const members = names.map((name) => neurons.flatMap((one, k) => (one.layer === name ? [k] : [])));
  const places: Place[] = new Array(neurons.length);
  const columns = names.map((name, c) => {
    const x = names.length === 1 ? width / 2 : 46 + (c * (width - 92)) / (names.length - 1);
    const inside = height - TOP - 14;
    const gap = Math.min(34, inside / members[c].length);
    const radius = Math.max(2.5, Math.min(11, gap * 0.4));
    members[c].forEach((k, i) => {
      places[k] = { x, y: TOP + inside / 2 + (i - (members[c].length - 1) / 2) * gap, radius };
    });
    return { name, x, n: members[c].length };
  });
  return { places, columns };
}

export function nearest(places: Place[], x: number, y: number): number | null {
  let best: number | null = null;
  let least = Infinity;
  places.forEach((place, k) => {
    const distance = Math.hypot(place.x - x, place.y - y);
    if (distance < least && distance <= Math.max(12, place.radius + 5)) [best, least] = [k, distance];
  });
  return best;
}
