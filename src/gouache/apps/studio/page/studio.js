// The page: its store, its server and its modules, and how it begins. store.js says how they work together.

import { makeActions, makeDoing } from "./actions.js";
import { connect } from "./api.js";
import * as bar from "./bar.js";
import * as draft from "./draft.js";
import * as easels from "./easel.js";
import * as history from "./history.js";
import * as keys from "./keys.js";
import * as pictures from "./pictures.js";
import * as settings from "./settings.js";
import { Store } from "./store.js";
import * as syncing from "./sync.js";
import * as tools from "./tools.js";
import * as versus from "./versus.js";
import * as wording from "./words.js";

const AGAIN = 1500; // milliseconds until a studio that did not answer is asked again

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
  page.words = mount(wording);
  page.sync = mount(syncing);
  page.doing = makeDoing(page);
  page.actions = makeActions(page);
  for (const module of [settings, pictures, tools, keys, bar, history, versus, draft]) mount(module);
  return page;
}

/** Asks what there is, and puts back what an earlier load of this page in this tab had. */
async function begin({ store, server, easel, sync }) {
  const kept = draft.load();
  const image = (url) => (url ? easels.loadImage(url).catch(() => null) : null);
  const asked = [server.get("/api/info"), image(kept.strokes), image(kept.mask), sync.refresh()];
  const [info, strokes, mask] = await Promise.all(asked);
  easel.recover(strokes, mask);
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
