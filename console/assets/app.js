/** The entry of the page. It loads the data and starts each section. */

import { load } from "./data.js";
import { byId, inputById } from "./dom.js";
import { startFaults } from "./faultform.js";
import { startHello } from "./hello.js";
import { startMessages } from "./messages.js";
import { startSee } from "./see.js";
import { Session } from "./session.js";
import { startTalk } from "./talk.js";

const data = await load().catch((error) => {
  byId("status").textContent = "The server did not send data.json. Load the page again.";
  throw error;
});
const listener = { message: (/** @type {Parameters<typeof talk.message>[0]} */ m) => {
  talk.message(m);
  drawMessages();
}, state: () => {
  talk.state();
  drawSee();
} };
const session = new Session(listener);
const talk = startTalk(session, data);
talk.state(); // a browser may have restored the buttons of an open connection
const drawMessages = startMessages(session);
const drawSee = startSee(session, data);
startHello(data);
inputById("connect").disabled = false; // before, the browser itself would submit the form
if (data.faults.length > 0) {
  byId("faults").hidden = byId("nav-faults").hidden = false;
  startFaults(data);
}
if (data.watch) {
  byId("watch").hidden = byId("nav-watch").hidden = false;
  (await import("./watch.js")).startWatch(byId("watch-body"), data);
}
document.documentElement.dataset.ready = "true";
