// Pictures by drop, paste and choice: one to start from, and some to paint towards.

import { send } from "./api.js";

export class Pictures {
  /** `started(given)` is called when a picture to start from is given or taken away; `doing` runs
   * what may fail. */
  constructor(starts, towards, file, doing, note, started) {
    Object.assign(this, { starts, towards, file, note, started });
    this.start = null; // {id, url}
    this.likes = []; // {id, url, weight}
    this.take = doing((...values) => this.taking(...values));
    this.listen();
  }

  /** As an order names them. */
  get orders() {
    return this.likes.map(({ id, weight }) => ({ image: id, weight }));
  }

  async taking(files, drop) {
    if (!files.length) return;
    const { id } = await send("/api/images", files[0]);
    const picture = { id, url: `/api/images/${id}`, weight: 1 };
    if (drop === this.starts) this.startFrom(picture);
    else this.towardsToo(picture);
    const what = drop === this.starts ? "Painting starts from" : "Painting goes towards";
    const rest = files.length > 1 ? ` The other ${files.length - 1} were not taken: one at a time.` : "";
    this.note(`${what} this picture.${rest}`);
    if (drop === this.starts) await this.started(true);
  }

  startFrom(picture) {
    this.starts.querySelector("figure")?.remove();
    this.start = picture;
    this.figure(picture, this.starts, false, () => {
      this.start = null;
      this.started(false);
    });
  }

  towardsToo(picture) {
    this.likes.push(picture);
    this.figure(picture, this.towards, true, () => this.likes.splice(this.likes.indexOf(picture), 1));
  }

  figure(picture, drop, weighted, forget) {
    const box = document.createElement("figure");
    const image = document.createElement("img");
    image.src = picture.url;
    image.alt = "";
    const away = document.createElement("button");
    away.textContent = "Remove";
    away.addEventListener("click", (event) => {
      event.stopPropagation();
      box.remove();
      forget();
    });
    box.append(image);
    if (weighted) {
      const weight = document.createElement("input");
      Object.assign(weight, { type: "number", step: "0.1", value: picture.weight });
      weight.setAttribute("aria-label", "weight of the picture");
      weight.addEventListener("click", (event) => event.stopPropagation());
      weight.addEventListener("change", () => (picture.weight = Number(weight.value)));
      box.append(weight);
    }
    box.append(away);
    drop.append(box);
  }

  listen() {
    let target = this.starts;
    for (const drop of [this.starts, this.towards]) {
      const choosing = () => {
        target = drop;
        this.file.click();
      };
      drop.addEventListener("click", choosing);
      drop.addEventListener("keydown", (event) => {
        if (event.target !== drop || !["Enter", " "].includes(event.key)) return;
        choosing();
        event.preventDefault();
      });
    }
    for (const drop of [this.starts, this.towards, document.getElementById("stage")]) {
      drop.addEventListener("dragover", (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
      drop.addEventListener("dragleave", () => drop.classList.remove("over"));
      drop.addEventListener("drop", (event) => {
        event.preventDefault();
        drop.classList.remove("over");
        this.take([...event.dataTransfer.files], drop === this.towards ? drop : this.starts);
      });
    }
    this.file.addEventListener("change", () => {
      this.take([...this.file.files], target);
      this.file.value = "";
    });
    document.addEventListener("paste", (event) => {
      const files = [...event.clipboardData.files].filter((one) => one.type.startsWith("image/"));
      this.take(files, this.starts);
    });
    // A file that misses a field would replace the page, and with it all that was not sent.
    for (const name of ["dragover", "drop"]) {
      document.addEventListener(name, (event) => {
        if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
      });
    }
  }
}
