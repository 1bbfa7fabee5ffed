/** A WebSocket that connects again. It has no part of the page. */

import { wait } from "./backoff.js";

/**
 * @typedef {"idle" | "connecting" | "open" | "closing" | "waiting"} State
 *
 * An Ending is what a browser knows about the end of one socket. local is true if this page
 * began. opened is false if the handshake failed. again is true for an attempt to reconnect.
 * @typedef {{code: number, reason: string, clean: boolean, opened: boolean, local: boolean, again: boolean}} Ending
 *
 * @typedef {{
 *   state: (state: State, detail: string) => void,
 *   message: (data: string | ArrayBuffer) => void,
 *   ended: (ending: Ending) => void,
 * }} Listener
 */

/** How long a connection must be open to end a row of failures, in ms. */
const lasting = 5000;

export class Connection {
  /** @type {State} */
  state = "idle";
  /** Whether it connects again after an end that this page did not begin. */
  reconnect = false;

  /** @type {WebSocket | undefined} */
  #socket;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #failures = 0;
  #url = "";
  /** @type {string[]} */
  #protocols = [];

  /**
   * @param {Listener} listener
   * @param {(url: string, protocols: string[]) => WebSocket} [open]
   */
  constructor(listener, open = (url, protocols) => new WebSocket(url, protocols)) {
    this.listener = listener;
    this.open = open;
  }

  /** The socket's subprotocol and extensions, empty unless it is open. */
  get agreed() {
    return { protocol: this.#socket?.protocol ?? "", extensions: this.#socket?.extensions ?? "" };
  }

  /** Bytes that wait to be sent. */
  get buffered() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /**
   * connect ends the present socket and opens another one.
   * @param {string} url
   * @param {string[]} protocols
   * @param {string} [once] a URL for the first attempt only
   * @throws {SyntaxError} if the URL or a subprotocol is wrong
   */
  connect(url, protocols, once) {
    this.#abandon();
    this.#url = url;
    this.#protocols = protocols;
    this.#failures = 0;
    this.#attempt(once ?? url);
  }

  /**
   * close begins the closing handshake, or ends the wait for the next attempt.
   * @param {number} code
   * @param {string} reason
   * @throws {DOMException} if the code or the reason is wrong
   */
  close(code, reason) {
    if (this.#socket) {
      this.#socket.close(code, reason);
      this.#enter("closing", `${code} ${reason}`.trim());
    } else if (this.state === "waiting") {
      clearTimeout(this.#timer);
      this.#enter("idle", "no further attempt");
    }
  }

  /**
   * send reports whether the socket is open.
   * @param {string | ArrayBuffer} message
   */
  send(message) {
    if (this.state !== "open") return false;
    this.#socket?.send(message);
    return true;
  }

  /**
   * @param {string} url
   * @param {boolean} [again] whether this reconnects
   */
  #attempt(url, again = false) {
    const socket = this.open(url, this.#protocols);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    let opened = false;
    this.#enter("connecting", url);
    socket.onopen = () => {
      opened = true;
      this.#timer = setTimeout(() => { this.#failures = 0; }, lasting); // a server that ends each one early is no success
      this.#enter("open", [socket.protocol, socket.extensions].filter(Boolean).join(", "));
    };
    socket.onmessage = (event) => this.listener.message(event.data);
    socket.onclose = (event) => {
      clearTimeout(this.#timer);
      const local = this.state === "closing";
      this.#socket = undefined;
      const { code, reason, wasClean: clean } = event;
      this.listener.ended({ code, reason, clean, opened, local, again });
      if (local || !this.reconnect) {
        this.#enter("idle", `${code} ${reason}`.trim());
        return;
      }
      this.#failures++;
      const pause = wait(this.#failures);
      this.#timer = setTimeout(() => this.#attempt(this.#url, true), pause);
      this.#enter("waiting", `attempt ${this.#failures + 1} in ${(pause / 1000).toFixed(1)} s`);
    };
  }

  /** Ends the present socket without an event. */
  #abandon() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = undefined;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#enter("idle", "replaced by another connection");
  }

  /**
   * @param {State} state
   * @param {string} detail
   */
  #enter(state, detail) {
    this.state = state;
    this.listener.state(state, detail);
  }
}
