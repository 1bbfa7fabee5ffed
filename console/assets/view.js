/** Which messages of the store the list shows. */

import { matches } from "./store.js";

/** @typedef {import("./store.js").Message} Message */

export class View {
  /** @type {Message[]} oldest first */
  items = [];
  /** @type {Message[]} from which the items are chosen */
  #all = [];
  #direction = "";
  #wanted = "";
  #seen = 0; // the newest id that was compared
  #paused = false;

  get paused() {
    return this.#paused;
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.#paused = paused;
    if (!paused) this.#restart();
  }

  /**
   * @param {string} direction in, out or ""
   * @param {string} wanted
   */
  filter(direction, wanted) {
    this.#direction = direction;
    this.#wanted = wanted.toLowerCase();
    this.#restart();
  }

  #restart() {
    this.items = [];
    this.#seen = 0;
  }

  clear() {
    this.items = [];
    this.#all = [];
  }

  /**
   * update adds the new messages of a store. A paused view keeps the messages of the last
   * update, also if the filter changes.
   * @param {Message[]} messages oldest first, with consecutive ids
   */
  update(messages) {
    if (!this.#paused) this.#all = [...messages]; // as drawn: a scroll event may come after further messages
    if (!this.#direction && !this.#wanted) {
      this.items = this.#all;
      this.#seen = this.#all.at(-1)?.id ?? this.#seen;
      return;
    }
    const oldest = this.#all[0]?.id ?? 0;
    let gone = 0;
    while (gone < this.items.length && this.items[gone].id < oldest) gone++;
    if (gone) this.items.splice(0, gone);
    for (const m of this.#all.slice(Math.max(0, this.#seen + 1 - oldest))) {
      if (matches(m, this.#direction, this.#wanted)) this.items.push(m);
      this.#seen = m.id;
    }
  }

  /**
   * indexOf returns the index of the first item with this id or a later one.
   * @param {number} id
   */
  indexOf(id) {
    let [low, high] = [0, this.items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.items[middle].id < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
