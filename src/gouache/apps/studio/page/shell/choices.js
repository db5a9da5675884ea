// Shapes and sizes to choose from, and whether a picture fits them: pure functions.

import { changed, defaults, sheetSize } from "../values.js";

const STEP = 16; // pixels that every side is a multiple of
const SHAPES = { square: [1, 1], portrait: [0.875, 1.125], landscape: [1.125, 0.875] };
const SCALES = [1, 2, 4];

const whole = (side) => Math.max(STEP, Math.round(side / STEP) * STEP);
export const sizeText = (size) => size.join("x");

/** The side of a square of the size that is painted where nobody says. */
function side({ info, form }) {
  const [width, height] = sheetSize({ size: baseSize(info, form.perceptor) });
  return Math.sqrt(width * height);
}

const baseSize = (info, perceptor) => {
  const { size } = info.presets[perceptor] ?? {};
  return size ? size.join("x") : defaults(info).size;
};

/** Shape and scale of the size that is set: {shape, scale}, null for what is neither. */
export function chosenSize(state) {
  const [width, height] = sheetSize(state.form);
  for (const shape of Object.keys(SHAPES)) {
    for (const scale of SCALES) {
      if (sizeText(sizeOf(state, shape, scale)) === sizeText([width, height])) return { shape, scale };
    }
  }
  const ratio = width / height;
  const shape = ratio > 1.05 ? "landscape" : ratio < 0.95 ? "portrait" : "square";
  return { shape, scale: null };
}

/** [width, height] of a shape at a scale. */
export function sizeOf(state, shape, scale) {
  const [across, down] = SHAPES[shape];
  const one = side(state) * scale;
  return [whole(one * across), whole(one * down)];
}

/** Settings with the scale that is usual, where the size is one of the choices: a size alone would be drawn as large as
 * it is painted. */
export function drawnAsUsual(state, settings) {
  if (!("size" in settings) || "scale" in settings || chosenSize(state).scale === null) return settings;
  return { ...settings, scale: state.form.scale };
}

/** The pixels that a finished picture of a size has: it is drawn larger than it is painted. A size that is no choice
 * is drawn as it is, unless that is set. */
export function drawnSize(state, size) {
  const isChoice = sizesOf(state, chosenSize(state).shape).some((one) => sizeText(one.size) === sizeText(size));
  const times = isChoice || "scale" in changed(state) ? Number(state.form.scale) || 1 : 1;
  return size.map((side) => side * times);
}

/** The sizes of a shape: [{scale, size, allowed}]. */
export const sizesOf = (state, shape) =>
  SCALES.map((scale) => {
    const [width, height] = sizeOf(state, shape, scale);
    return { scale, size: [width, height], allowed: width * height <= (state.info.limits?.pixels ?? Infinity) };
  });

/** The size with as many pixels as the sheet has now, in the shape of a picture. */
export function shapedLike(state, { width, height }) {
  const [across, down] = sheetSize(state.form);
  const ratio = width / height;
  const area = across * down;
  return [whole(Math.sqrt(area * ratio)), whole(Math.sqrt(area / ratio))];
}

/** Whether a picture would lose something on a sheet of the size that is set. */
export function isMisfit(state) {
  const { start } = state.draft;
  if (!start?.width) return false;
  const [width, height] = sheetSize(state.form);
  const ratio = (start.width * height) / (start.height * width);
  return Math.max(ratio, 1 / ratio) > 1.04;
}
