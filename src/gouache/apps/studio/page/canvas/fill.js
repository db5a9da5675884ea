// Fills a region of like colours, as a bucket does.

import { newCanvas, penOf, scaled } from "./layer.js";

const LIKE = 40; // of 255: how far a colour may be from the one that was clicked, in its farthest channel
const LARGEST = 1536; // pixels of the longer side in which the region is looked for

/** A canvas with `color` where `image` is like it is at a place, and nothing elsewhere; with the place and image in
 * the same pixels. */
export function filled(image, at, color) {
  const shrink = Math.min(1, LARGEST / Math.max(image.width, image.height));
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side * shrink)));
  const { data } = penOf(scaled(image, width, height)).getImageData(0, 0, width, height);
  const found = region(data, width, height, clamp(at.x * shrink, width), clamp(at.y * shrink, height));
  const sheet = newCanvas(width, height);
  const pen = penOf(sheet);
  const pixels = pen.createImageData(width, height);
  const [red, green, blue] = [1, 3, 5].map((k) => parseInt(color.slice(k, k + 2), 16));
  const whole = new Uint32Array(pixels.data.buffer);
  const [value] = new Uint32Array(new Uint8ClampedArray([red, green, blue, 255]).buffer);
  for (let k = 0; k < found.length; k += 1) if (found[k]) whole[k] = value;
  pen.putImageData(pixels, 0, 0);
  return shrink === 1 ? sheet : scaled(sheet, image.width, image.height);
}

const clamp = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value)));

/** 1 for each pixel of the region, row after row; and for its border, so that no gap stays at smooth edges. */
function region(data, width, height, x, y) {
  const seed = 4 * (y * width + x);
  const alike = (k) =>
    Math.abs(data[4 * k] - data[seed]) <= LIKE &&
    Math.abs(data[4 * k + 1] - data[seed + 1]) <= LIKE &&
    Math.abs(data[4 * k + 2] - data[seed + 2]) <= LIKE;
  const found = new Uint8Array(width * height);
  const todo = [y * width + x];
  while (todo.length) {
    const start = todo.pop();
    if (found[start]) continue;
    const row = Math.floor(start / width) * width;
    let [left, right] = [start, start];
    while (left > row && !found[left - 1] && alike(left - 1)) left -= 1;
    while (right < row + width - 1 && !found[right + 1] && alike(right + 1)) right += 1;
    for (let k = left; k <= right; k += 1) found[k] = 1;
    for (const next of [-width, width]) {
      let inside = false;
      for (let k = left + next; k <= right + next; k += 1) {
        const fits = k >= 0 && k < found.length && !found[k] && alike(k);
        if (fits && !inside) todo.push(k);
        inside = fits;
      }
    }
  }
  const wide = found.slice();
  for (let k = 0; k < found.length; k += 1) {
    if (!found[k]) continue;
    if (k % width) wide[k - 1] = 1;
    if ((k + 1) % width) wide[k + 1] = 1;
    if (k >= width) wide[k - width] = 1;
    if (k + width < found.length) wide[k + width] = 1;
  }
  return wide;
}
