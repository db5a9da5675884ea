// The page: its store, its server and its modules, and how it begins. store.js says how they work together.

import { makeDoing, makeWork } from "./actions.js";
import { connect } from "./api.js";
import * as buttons from "./buttons.js";
import * as canvas from "./canvas/actions.js";
import * as change from "./canvas/change.js";
import * as easels from "./canvas/easel.js";
import * as grow from "./canvas/grow.js";
import * as hands from "./canvas/hand.js";
import * as canvasKeys from "./canvas/keys.js";
import * as layers from "./canvas/layers.js";
import * as live from "./canvas/live.js";
import * as tip from "./canvas/tip.js";
import * as tools from "./canvas/tools.js";
import * as film from "./film/actions.js";
import * as filmPanel from "./film/panel.js";
import * as player from "./film/player.js";
import * as past from "./past/actions.js";
import * as bin from "./past/bin.js";
import * as choice from "./past/choice.js";
import * as exporting from "./past/exports.js";
import * as gallery from "./past/gallery.js";
import * as lightbox from "./past/lightbox.js";
import * as queue from "./past/queue.js";
import * as trash from "./past/trash.js";
import * as tree from "./past/tree.js";
import * as versus from "./past/versus.js";
import * as shell from "./shell/actions.js";
import * as bar from "./shell/bar.js";
import * as draft from "./shell/draft.js";
import * as examples from "./shell/examples.js";
import * as fitting from "./shell/fitting.js";
import * as help from "./shell/help.js";
import * as keys from "./shell/keys.js";
import * as news from "./shell/news.js";
import * as panels from "./shell/panels.js";
import * as pictures from "./shell/pictures.js";
import * as settings from "./shell/settings.js";
import * as status from "./shell/status.js";
import * as theme from "./shell/theme.js";
import * as wording from "./shell/words.js";
import { Store } from "./store.js";
import * as syncing from "./sync.js";

const AGAIN = 1500; // milliseconds until a studio that did not answer is asked again
const MODULES = [
  [theme, bar, panels, settings, pictures, fitting, examples, status, keys, help, draft], // shell
  [tools, tip, change, layers, grow, live, canvasKeys], // canvas
  [choice, tree, queue, gallery, exporting, lightbox, versus, bin, trash], // past
  [filmPanel, player], // film
  [news], // what all of them say
];

function openPage() {
  const store = new Store();
  const server = connect((alive) => {
    if (alive === store.state.notices.alive) return;
    store.dispatch({ type: "reached", alive });
    if (alive) page.sync.look();
  });
  const page = { store, server };
  const mount = (module) => store.mount(module.mount(page));
  page.easel = mount(easels);
  page.hand = mount(hands);
  page.words = mount(wording);
  page.sync = mount(syncing);
  page.doing = makeDoing(page);
  page.work = makeWork(page);
  page.actions = { buttons: {} };
  for (const part of [shell, canvas, past, film]) {
    const { buttons: pressed, ...actions } = part.makeActions(page);
    Object.assign(page.actions, actions);
    Object.assign(page.actions.buttons, pressed);
  }
  for (const module of [buttons, ...MODULES.flat()]) mount(module);
  return page;
}

/** Asks what there is, and puts back what an earlier load of this page in this tab had. */
async function begin({ store, server, easel, sync }) {
  const kept = draft.load();
  const [info] = await Promise.all([server.get("/api/info"), easel.recover(kept.drawn ?? {}), sync.refresh()]);
  store.dispatch({ type: "noticed", problem: "" });
  store.dispatch({ type: "begun", info, kept });
  sync.start();
}

async function start(page) {
  try {
    await begin(page);
  } catch (error) {
    page.store.dispatch({ type: "noticed", problem: error.message });
    if (!page.store.state.ready) setTimeout(start, AGAIN, page);
  }
}

start(openPage());
