/** Round-trip times: which received message is the echo of which sent one. */

/** @typedef {import("./store.js").Message} Message */

const mostPending = 1024;
const searched = 64; // pending messages for each received one
const sampled = 512; // characters or bytes of a message that are compared

/** Echoes are sent messages that wait for their echo, in order. */
export class Echoes {
  /** @type {{key: string, at: number}[]} */
  #pending = [];

  /** The number of messages that wait. */
  get waiting() {
    return this.#pending.length;
  }

  /**
   * @param {Omit<Message, "id">} m
   * @param {number} at the time in ms
   */
  sent(m, at) {
    this.#pending.push({ key: key(m), at });
    if (this.#pending.length > mostPending) this.#pending.shift();
  }

  /**
   * received returns the round-trip time of an echo in ms, and undefined for any other
   * message. Older sent messages get no echo any more, because a server answers in order.
   * @param {Omit<Message, "id">} m
   * @param {number} at
   */
  received(m, at) {
    if (this.#pending.length === 0) return undefined;
    const wanted = key(m);
    for (let i = 0; i < Math.min(searched, this.#pending.length); i++) {
      if (this.#pending[i].key === wanted) {
        const { at: began } = this.#pending[i];
        this.#pending.splice(0, i + 1);
        return at - began;
      }
    }
    return undefined;
  }

  clear() {
    this.#pending = [];
  }
}

/**
 * key returns the type, the size and samples of a message.
 * @param {Omit<Message, "id">} m
 */
function key(m) {
  if (m.text !== undefined) {
    const { text } = m;
    return text.length <= sampled ? `t${text}` : `t${m.size} ${text.slice(0, sampled / 2)} ${text.slice(-sampled / 2)}`;
  }
  const bytes = m.bytes ?? new Uint8Array();
  const step = Math.max(1, Math.floor(bytes.length / sampled));
  let hash = 0x811c9dc5; // FNV-1a
  for (let i = 0; i < bytes.length; i += step) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return `b${m.size} ${hash}`;
}
