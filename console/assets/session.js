/** One connection with its messages and figures. It has no part of the page. */

import { Connection } from "./connection.js";
import { Echoes } from "./rtt.js";
import { Series } from "./series.js";
import { Store, message } from "./store.js";

/**
 * @typedef {import("./connection.js").State} State
 * @typedef {import("./connection.js").Ending} Ending
 * @typedef {import("./store.js").Message} Message
 * @typedef {{state: State | "ended", at: number, detail: string}} Step
 */

const mostSteps = 100;

export class Session {
  store = new Store();
  series = new Series();
  /** @type {Step[]} oldest first */
  steps = [];
  totals = { in: 0, out: 0, inBytes: 0, outBytes: 0 };
  /** The number of all states that it entered. steps has the newest ones only. */
  entered = 0;
  /** @type {Ending | undefined} the last one, without those of attempts to reconnect */
  ending;
  /** The time of that ending, in ms since 1970. */
  endedAt = 0;
  url = "";

  #echoes = new Echoes();

  /**
   * @param {{message: (m: Omit<Message, "id">) => void, state: () => void}} listener
   * @param {(url: string, protocols: string[]) => WebSocket} [open]
   * @param {() => number} [now] in ms
   */
  constructor(listener, open, now = () => performance.now()) {
    this.listener = listener;
    this.now = now;
    this.connection = new Connection({
      state: (state, detail) => {
        if (state !== "closing") this.#echoes.clear();
        this.#step(state, detail);
      },
      message: (data) => this.#received(data),
      ended: (ending) => {
        if (ending.opened || !ending.again) {
          this.ending = ending;
          this.endedAt = Date.now();
        }
        this.#step("ended", `${ending.code} ${ending.reason}`.trim());
      },
    }, open);
  }

  /** @returns {State | "ended"} "ended" after the first end, until it connects again */
  get state() {
    const { state } = this.connection;
    return state === "idle" && this.ending ? "ended" : state;
  }

  /**
   * connect ends the present connection and opens another one. Another URL begins a new
   * series, because its server may be elsewhere.
   * @param {string} url
   * @param {string[]} protocols
   * @param {string} [once]
   */
  connect(url, protocols, once) {
    if (url !== this.url) this.series.clear();
    this.url = url;
    this.connection.connect(url, protocols, once);
  }

  /**
   * send reports whether the connection is open.
   * @param {string | ArrayBuffer} data
   */
  send(data) {
    const at = this.now();
    if (!this.connection.send(data)) return false;
    const m = message(data, true);
    this.#echoes.sent(m, at);
    this.#count(m, at);
    return true;
  }

  /** The number of sent messages without an echo. */
  get waiting() {
    return this.#echoes.waiting;
  }

  /** @param {string | ArrayBuffer} data */
  #received(data) {
    const at = this.now();
    const m = message(data, false);
    m.rtt = this.#echoes.received(m, at);
    this.#count(m, at);
  }

  /**
   * @param {Omit<Message, "id">} m
   * @param {number} at
   */
  #count(m, at) {
    const { totals } = this;
    totals[m.out ? "out" : "in"]++;
    totals[m.out ? "outBytes" : "inBytes"] += m.size;
    this.store.add(m);
    this.series.add(at, m.out, m.rtt);
    this.listener.message(m);
  }

  /**
   * @param {State | "ended"} state
   * @param {string} detail
   */
  #step(state, detail) {
    if (state === "idle" && this.steps.at(-1)?.state === "ended") {
      this.listener.state();
      return;
    }
    this.steps.push({ state, at: Date.now(), detail });
    this.entered++;
    if (this.steps.length > mostSteps) this.steps.shift();
    this.listener.state();
  }
}
