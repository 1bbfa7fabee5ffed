/** The section about what the server saw of a request. It uses the fault hello=1. */

import { byId, inputById, make, rows } from "./dom.js";
import { withFaults } from "./faults.js";
import { protocols } from "./talk.js";

/** @typedef {import("./data.js").Data} Data */

const longest = 5000; // ms
const largest = 256 << 10; // characters of an answer; the headers of a request are shorter
const mostRows = 500;

/** @param {Data} data */
export function startHello(data) {
  const ask = byId("ask-hello");
  byId("hello-card").hidden = !data.faults.some((f) => f.name === "hello");
  ask.addEventListener("click", () => {
    const url = withFaults(inputById("url").value.trim(), data.faults, [["hello", "1"]]);
    show("Waiting for the answer.");
    try {
      receive(new WebSocket(url, protocols()));
    } catch (error) {
      show(String(/** @type {Error} */ (error).message));
    }
  });
}

/** @param {string} sentence */
function show(sentence) {
  byId("hello").replaceChildren(make("p", { class: "hint" }, sentence));
}

/**
 * receive shows the first message of a socket, or what came in its place.
 * @param {WebSocket} socket
 */
function receive(socket) {
  let answered = false;
  const timer = setTimeout(() => socket.close(), longest);
  socket.onmessage = ({ data }) => {
    answered = true;
    socket.close(1000);
    try {
      const list = make("dl", { class: "facts" });
      rows(list, greeting(data));
      byId("hello").replaceChildren(list);
    } catch {
      show("The answer is not one to hello=1. The server probably does not know this fault.");
    }
  };
  socket.onclose = ({ code }) => {
    clearTimeout(timer);
    if (!answered) show(`No answer came within 5 s; the connection ended with ${code}. Does the server know hello=1?`);
  };
}

/**
 * greeting returns the rows of an answer.
 * @param {unknown} data
 * @throws {Error} if it is no answer to hello=1
 */
export function greeting(data) {
  if (typeof data !== "string" || data.length > largest) throw new Error("no greeting");
  return pairs(JSON.parse(data)).slice(0, mostRows);
}

/**
 * pairs returns each value of an object with its path.
 * @param {Record<string, unknown>} object
 * @param {string} [prefix]
 * @returns {[string, string][]}
 */
export function pairs(object, prefix = "") {
  return Object.entries(object).flatMap(([name, value]) => {
    if (Array.isArray(value)) return value.map((v) => /** @type {[string, string]} */ ([prefix + name, String(v)]));
    if (typeof value === "object" && value !== null) {
      return pairs(/** @type {Record<string, unknown>} */ (value), name === "header" ? "" : `${prefix}${name} `);
    }
    return value === "" ? [] : [/** @type {[string, string]} */ ([prefix + name, String(value)])];
  });
}
