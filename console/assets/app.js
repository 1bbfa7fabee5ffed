/** The entry of the page. It loads the data and starts each section. */

import { load } from "./data.js";
import { byId } from "./dom.js";

const data = await load();
byId("faults").hidden = byId("nav-faults").hidden = data.faults.length === 0;
byId("watch").hidden = byId("nav-watch").hidden = !data.watch;
if (data.watch) (await import("./watch.js")).startWatch(byId("watch-body"), data);

const url = /** @type {HTMLInputElement} */ (byId("url"));
url.value = data.endpoint || new URL(".", location.href).href.replace(/^http/, "ws");

byId("connect-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const socket = new WebSocket(url.value);
  const status = byId("status");
  const show = (/** @type {string} */ state) => {
    status.dataset.state = state;
    status.textContent = state;
  };
  show("connecting");
  socket.onopen = () => show("open");
  socket.onclose = (e) => show(`closed ${e.code}`);
});
