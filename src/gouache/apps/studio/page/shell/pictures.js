// Files by drop, paste and choice: pictures to start from or to paint towards, and pictures of ours.

import { $, attributes, keyed, made, put } from "../nodes.js";

const LEFT = 400; // milliseconds without a move until what is dragged is taken to have left

export function mount({ store, actions }) {
  const [start, like, file, landing] = [$("start"), $("like"), $("file"), $("landing")];
  let purpose = "start"; // of the file that is chosen
  let hovering;

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

  for (const drop of [start, like]) {
    drop.querySelector(".choose").addEventListener("click", () => {
      purpose = drop === like ? "like" : "start";
      file.click();
    });
  }
  file.addEventListener("change", () => {
    actions.take([...file.files], purpose);
    purpose = "start";
    file.value = "";
  });

  const holds = (event) => event.dataTransfer?.types.includes("Files");

  function land(shown, onLike = false) {
    clearTimeout(hovering);
    like.classList.toggle("over", shown && onLike);
    put(landing, { hidden: !shown || onLike });
    if (shown) hovering = setTimeout(land, LEFT, false); // it may leave the window without a word
  }

  // Anywhere: a file that missed a field would replace the page, and with it all that was not sent.
  document.addEventListener("dragover", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    land(true, like.contains(event.target));
  });
  document.addEventListener("drop", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    land(false);
    actions.take([...event.dataTransfer.files], like.contains(event.target) ? "like" : "any");
  });
  document.addEventListener("paste", (event) => {
    actions.take([...event.clipboardData.files].filter((one) => one.type.startsWith("image/")), "any");
  });

  function update({ draft }) {
    const starts = draft.start ? [{ ...draft.start, key: draft.start.id, weighted: false }] : [];
    const likes = draft.likes.map((one) => ({ ...one, weighted: true }));
    keyed(start.firstElementChild, starts, ({ key }) => key, make, fill);
    keyed(like.firstElementChild, likes, ({ key }) => key, make, fill);
  }

  return { update };
}
