// The colours of the page, read from its style: they are others in the dark.

export interface Colours {
  paper: string;
  ink: string;
  muted: string;
  grid: string;
  up: string;
  down: string;
  series: string[];
}

export function colours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const named = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const series = [0, 1, 2, 3, 4, 5, 6, 7].map((k) => named(`curve-${k}`));
  return {
    paper: named("paper"), ink: named("ink"), muted: named("muted"), grid: named("grid"),
    up: series[0], down: series[1], series,
  };
}
