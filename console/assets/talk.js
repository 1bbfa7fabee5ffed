/** The forms that connect and that send. */

import { announce, byId, inputById, setText } from "./dom.js";
import { hint, proposed } from "./endpoint.js";
import { withFaults } from "./faults.js";
import { parse } from "./hex.js";

/**
 * @typedef {import("./session.js").Session} Session
 * @typedef {import("./data.js").Data} Data
 */

const largestFile = 64 << 20;
const mostBuffered = 8 << 20; // bytes; a repeated message then waits

/**
 * startTalk returns a function to call for each new state, and one for each message.
 * @param {Session} session
 * @param {Data} data
 */
export function startTalk(session, data) {
  const url = inputById("url");
  url.value = proposed(data, location);
  const showHint = () => setText(byId("url-hint"), hint(url.value.trim(), data.endpoint, location));
  showHint();
  url.addEventListener("input", showHint);
  startConnect(session, data, url);
  return startSend(session);
}

/** The subprotocols of the form. */
export function protocols() {
  return inputById("protocols").value.split(/[\s,]+/).filter(Boolean);
}

/**
 * @param {Session} session
 * @param {Data} data
 * @param {HTMLInputElement} url
 */
function startConnect(session, data, url) {
  /** @param {string} [once] */
  const connect = (once) => {
    if (!url.value.trim()) { // the hint says so
      url.focus();
      return;
    }
    try {
      session.connect(url.value.trim(), protocols(), once);
    } catch (error) {
      byId("url-hint").textContent = String(/** @type {Error} */ (error).message);
      url.focus();
    }
  };
  byId("connect-form").addEventListener("submit", (event) => {
    event.preventDefault();
    connect();
  });
  const reconnect = inputById("reconnect");
  const chooseReconnect = () => {
    session.connection.reconnect = reconnect.checked;
    if (!reconnect.checked && session.state === "waiting") session.connection.close(1000, "");
  };
  chooseReconnect(); // as the browser has restored it
  reconnect.addEventListener("change", chooseReconnect);
  byId("close-form").addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      session.connection.close(Number(inputById("close-code").value), inputById("close-reason").value);
    } catch {
      byId("url-hint").textContent = "A page may close with 1000 or with 3000 to 4999, and with a reason of at most 123 bytes.";
    }
  });
  const drop = byId("drop");
  drop.hidden = byId("drop-hint").hidden = !data.faults.some((f) => f.name === "drop");
  drop.addEventListener("click", () => connect(withFaults(url.value.trim(), data.faults, [["drop", "rst"]])));
}

/** @param {Session} session */
function startSend(session) {
  const input = inputById("input");
  const hint = byId("input-hint");
  const send = /** @type {HTMLButtonElement} */ (byId("send"));
  const repeat = inputById("repeat");
  const format = () => /** @type {HTMLInputElement} */ (document.querySelector("[name=format]:checked")).value;
  /** @type {string | ArrayBuffer | undefined} the message that is repeated */
  let repeated;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;

  const stop = () => {
    clearInterval(timer);
    repeated = undefined;
    send.textContent = "Send";
    send.disabled = session.state !== "open";
  };
  const again = () => {
    if (repeated !== undefined && session.connection.buffered < mostBuffered) session.send(repeated);
  };

  const chooseFormat = () => {
    const isFile = format() === "file";
    byId("input-label").hidden = isFile;
    byId("file-label").hidden = !isFile;
    input.classList.toggle("mono", format() !== "text");
    hint.textContent = format() === "hex" ? "Two digits for each byte: 48 65 6c 6c 6f. It is sent as a binary message." : "";
  };
  chooseFormat(); // as the browser has restored it
  byId("format").addEventListener("change", chooseFormat);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) /** @type {HTMLFormElement} */ (byId("send-form")).requestSubmit();
  });
  repeat.addEventListener("change", stop);
  byId("send-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (repeated !== undefined) {
      stop();
      return;
    }
    hint.textContent = "";
    let data;
    try {
      data = await read(format(), input.value);
    } catch (error) {
      hint.textContent = String(/** @type {Error} */ (error).message);
      return;
    }
    if (!session.send(data)) {
      hint.textContent = "The connection is not open.";
      return;
    }
    if (repeat.value === "") return;
    repeated = data;
    send.textContent = "Stop";
    if (Number(repeat.value) > 0) timer = setInterval(again, Number(repeat.value));
  });

  let announced = 0;
  let unannounced = 0;
  return {
    state() {
      const open = session.state === "open";
      send.disabled = !open && repeated === undefined;
      /** @type {HTMLButtonElement} */ (byId("close")).disabled = session.state !== "open" && session.state !== "connecting" && session.state !== "waiting";
      if (open && repeat.value === "0") again();
    },
    /** @param {Omit<import("./store.js").Message, "id">} m */
    message(m) {
      if (m.out) return;
      if (repeat.value === "0" && m.rtt !== undefined) again();
      unannounced++;
      const now = performance.now();
      if (now - announced < 2000) return;
      announce(unannounced > 1 ? `${unannounced} messages received` : `received ${m.bytes ? "binary" : "text"}, ${m.size} bytes`);
      announced = now;
      unannounced = 0;
    },
  };
}

/**
 * read returns the message of the form.
 * @param {string} format
 * @param {string} text
 * @returns {Promise<string | ArrayBuffer>}
 * @throws {Error} with a sentence for people
 */
async function read(format, text) {
  if (format === "hex") return parse(text).buffer;
  if (format === "json") {
    try {
      JSON.parse(text);
    } catch (error) {
      throw new Error(`This is no JSON: ${/** @type {Error} */ (error).message}`);
    }
  }
  if (format !== "file") return text;
  const file = inputById("file").files?.[0];
  if (!file) throw new Error("Choose a file.");
  if (file.size > largestFile) throw new Error("The file is longer than 64 MiB, the most that the page sends.");
  return file.arrayBuffer();
}
