// A canvas that is as sharp as the screen, and as wide as the page lets it be.

export interface Surface {
  element: HTMLCanvasElement;
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
}

export function surface(element: HTMLCanvasElement): Surface {
  const context = element.getContext("2d");
  if (context === null) throw new Error("this browser draws on no canvas");
  return { element, context, width: 0, height: 0 };
}

export function fit(shown: Surface): void {
  const { width, height } = shown.element.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  shown.width = width;
  shown.height = height;
  shown.element.width = Math.round(width * ratio);
  shown.element.height = Math.round(height * ratio);
  shown.context.setTransform(ratio, 0, 0, ratio, 0, 0);
}
