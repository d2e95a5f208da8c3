// Chance that a seed decides: a page shows the same episode whenever it is opened.

export class Random {
  private state: number;

  constructor(seed: number, name: string) {
    this.state = seed >>> 0;
    for (const letter of name) this.state = Math.imul(this.state ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  }

  // Uniform in [0, 1): a Weyl sequence, mixed until no pattern is left.
  uniform(): number {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 2 ** 32;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  whole(n: number): number {
    return Math.floor(n * this.uniform());
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
}
