// Pictures by drop, paste and choice: one to start from, and some to paint towards.

import { $, attributes, keyed, made, put } from "../nodes.js";

export function mount({ store, actions }) {
  const [start, like, file] = [$("start"), $("like"), $("file")];
  let towards = false; // what the chosen file is for

  const forget = ({ key, weighted }) =>
    store.dispatch(
      weighted ? { type: "likedMore", key, weight: null } : { type: "started", picture: null },
    );

  function make(given) {
    const away = made("button", { textContent: "Remove" });
    away.addEventListener("click", () => forget(given));
    const image = made("img", { alt: "" });
    if (!given.weighted) return made("figure", {}, image, away);
    const weight = made("input", { type: "number", step: "0.1" });
    attributes(weight, { "aria-label": "weight of the picture" });
    weight.addEventListener("change", () =>
      store.dispatch({ type: "likedMore", key: given.key, weight: Number(weight.value) }),
    );
    return made("figure", {}, image, weight, away);
  }

  function fill(figure, { url, weight, weighted }) {
    attributes(figure.firstChild, { src: url });
    const input = figure.querySelector("input");
    if (weighted && input !== document.activeElement) put(input, { value: String(weight) });
  }

  function choosing(drop) {
    towards = drop === like;
    file.click();
  }

  for (const drop of [start, like]) {
    drop.addEventListener("click", (event) => {
      if (!event.target.closest("button, input")) choosing(drop);
    });
    drop.addEventListener("keydown", (event) => {
      if (event.target !== drop || !["Enter", " "].includes(event.key)) return;
      choosing(drop);
      event.preventDefault();
    });
  }
  for (const drop of [start, like, $("stage")]) {
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      actions.take([...event.dataTransfer.files], drop === like);
    });
  }
  file.addEventListener("change", () => {
    actions.take([...file.files], towards);
    file.value = "";
  });
  document.addEventListener("paste", (event) => {
    actions.take([...event.clipboardData.files].filter((one) => one.type.startsWith("image/")), false);
  });
  // A file that misses a field would replace the page, and with it all that was not sent.
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
  }

  function update({ draft }) {
    const starts = draft.start ? [{ ...draft.start, key: draft.start.id, weighted: false }] : [];
    const likes = draft.likes.map((one) => ({ ...one, weighted: true }));
    keyed(start.firstElementChild, starts, ({ key }) => key, make, fill);
    keyed(like.firstElementChild, likes, ({ key }) => key, make, fill);
  }

  return { update };
}
