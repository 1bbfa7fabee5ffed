/** The messages that the page keeps. */

import { digits } from "./hex.js";

/**
 * A Message has a text or bytes. size is in bytes. rtt is in ms, and undefined unless the
 * message is an echo.
 * @typedef {{id: number, time: number, out: boolean, size: number, rtt?: number,
 *   text?: string, bytes?: Uint8Array<ArrayBuffer>}} Message
 */

const encoder = new TextEncoder();

/**
 * @param {string | ArrayBuffer} data
 * @param {boolean} out
 * @returns {Omit<Message, "id">}
 */
export function message(data, out) {
  const time = Date.now();
  if (typeof data === "string") return { time, out, size: encoder.encode(data).length, text: data };
  return { time, out, size: data.byteLength, bytes: new Uint8Array(data) };
}

/** @param {Omit<Message, "id">} m */
export function bytesOf(m) {
  return m.bytes ?? encoder.encode(m.text);
}

/**
 * A Store keeps the newest messages, up to a number of them and of bytes. It always keeps
 * the newest one.
 */
export class Store {
  /** @type {Message[]} oldest first */
  messages = [];
  /** The number of all messages that were added. */
  added = 0;
  #bytes = 0;

  constructor(most = 1000, mostBytes = 64 << 20) {
    this.most = most;
    this.mostBytes = mostBytes;
  }

  /** @param {Omit<Message, "id">} m */
  add(m) {
    this.messages.push({ ...m, id: ++this.added });
    this.#bytes += m.size;
    while (this.messages.length > 1 && (this.messages.length > this.most || this.#bytes > this.mostBytes)) {
      this.#bytes -= this.messages.shift()?.size ?? 0;
    }
  }

  clear() {
    this.messages = [];
    this.#bytes = 0;
  }
}

/** Characters and bytes of a message in which a filter searches. */
const searched = 64 << 10;

/**
 * matches reports whether a message has a direction and contains a text, in any case of
 * its letters. A binary message matches pairs of hexadecimal digits, with or without blanks.
 * @param {Message} m
 * @param {string} direction in, out or "" for both
 * @param {string} wanted in lower case
 */
export function matches(m, direction, wanted) {
  if (direction && (direction === "out") !== m.out) return false;
  if (!wanted) return true;
  if (m.text !== undefined) return m.text.slice(0, searched).toLowerCase().includes(wanted);
  const pairs = wanted.replace(/\s/g, "").replace(/..(?=.)/g, "$& ");
  return digits(m.bytes ?? new Uint8Array(), searched / 16).includes(pairs);
}

/**
 * jsonLines returns one line of JSON for each message. The bytes are in base64.
 * @param {Message[]} messages
 */
export function jsonLines(messages) {
  return messages.map((m) => JSON.stringify({
    time: new Date(m.time).toISOString(),
    direction: m.out ? "out" : "in",
    type: m.bytes ? "binary" : "text",
    size: m.size,
    rtt_ms: m.rtt,
    text: m.text,
    base64: m.bytes && base64(m.bytes),
  }) + "\n").join("");
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}
