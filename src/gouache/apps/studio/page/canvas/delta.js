// What a change did to the pixels of a tile, so that it can be taken back: those that differ, and nothing else. Pixels
// are Uint32Array, one word each. A difference is words too: how many pixels are as they were, how many others follow
// (RUN: all of one value), and their values; again and again.

const RUN = 0x80000000;
const WORTH = 8; // pixels of one value that are told as a run, in the midst of others
const GAP = 3; // pixels that are as they were, and end what differs

/** Room for the largest difference of so many pixels: one for many, as what is thrown away stays in memory until the
 * browser tidies up. */
export const roomFor = (length) => new Uint32Array(2 * length + 4);

/** What makes `wanted` of `pixels`; both have the same length. `scratch`: room for it, that is written over. */
export function difference(pixels, wanted, scratch = roomFor(pixels.length)) {
  const { length } = pixels;
  const same = (k) => pixels[k] === wanted[k];
  const gap = (k) => {
    for (let at = k; at < k + GAP && at < length; at += 1) if (!same(at)) return false;
    return true;
  };
  const run = (k) => {
    for (let at = k + 1; at < k + WORTH; at += 1) if (at >= length || wanted[at] !== wanted[k]) return false;
    return true;
  };
  let [size, k] = [0, 0];
  while (k < length) {
    const from = k;
    while (k < length && same(k)) k += 1;
    if (k === length) break;
    const first = k;
    scratch[size] = first - from;
    const value = wanted[k];
    if (run(k)) {
      while (k < length && wanted[k] === value && !same(k)) k += 1;
      scratch[size + 1] = (k - first + RUN) >>> 0;
      scratch[size + 2] = value;
      size += 3;
    } else {
      k += 1;
      while (k < length && !gap(k) && !run(k)) k += 1;
      scratch[size + 1] = k - first;
      scratch.set(wanted.subarray(first, k), size + 2);
      size += 2 + k - first;
    }
  }
  return scratch.slice(0, size);
}

/** Puts a difference into `pixels`, in place. */
export function applied(words, pixels) {
  let at = 0;
  for (let k = 0; k < words.length; ) {
    at += words[k];
    const count = words[k + 1] & ~RUN;
    if (words[k + 1] & RUN) pixels.fill(words[k + 2], at, at + count);
    else pixels.set(words.subarray(k + 2, k + 2 + count), at);
    k += words[k + 1] & RUN ? 3 : 2 + count;
    at += count;
  }
  return pixels;
}
