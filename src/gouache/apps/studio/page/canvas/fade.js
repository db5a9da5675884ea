// Between two frames of a picture that is painted: the one before fades into the next, over the time from one to the
// other, so that the picture moves although a step takes long. What is between is blended, not painted.

import { copied, release } from "./layer.js";

const EVERY = 110; // milliseconds between two blends: nine a second move, and each takes time from the painting
const WORTH = 1.1; // times as long between two frames: else they move by themselves
const LONGEST = 1200; // milliseconds of a fade
const LARGEST = 1024 * 1024; // pixels: copies of what is larger take more memory than the motion is worth

export class Fade {
  constructor(view) {
    this.view = view;
    this.came = 0; // when the newest frame did
    this.timer = null;
    this.copies = [];
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
  }

  /** The view holds `image` at once, or bit by bit; `draw` draws it all. */
  to(draw) {
    const [now, { width, height }] = [performance.now(), this.view];
    const lasts = Math.min(now - this.came, LONGEST);
    this.came = now;
    if (this.still.matches || lasts < WORTH * EVERY || width * height > LARGEST) return draw();
    const before = copied(this.view);
    draw(); // which ends the fade before
    const after = copied(this.view);
    this.copies = [before, after];
    if (width !== this.view.width || height !== this.view.height) return this.end();
    const blend = () => {
      const share = Math.min(1, (performance.now() - now + EVERY) / lasts); // what is shown first is new already
      const pen = this.view.getContext("2d");
      pen.globalAlpha = 1;
      pen.drawImage(before, 0, 0);
      pen.globalAlpha = share;
      pen.drawImage(after, 0, 0);
      pen.globalAlpha = 1;
      this.view.dataset.blends = Number(this.view.dataset.blends ?? 0) + 1;
      if (share < 1) this.timer = setTimeout(blend, EVERY);
      else this.end();
    };
    return blend();
  }

  /** Whatever is drawn next stays. */
  end() {
    clearTimeout(this.timer);
    for (const copy of this.copies.splice(0)) release(copy);
  }
}
