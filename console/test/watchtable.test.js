import assert from "node:assert/strict";
import test from "node:test";

import { close } from "../assets/watchclose.js";
import { arrange } from "../assets/watchtable.js";

/** A body is a list of rows with the functions of an element that arrange uses. */
class Body {
  /** @type {Row[]} */
  rows = [];
  /** @type {Row[]} */
  moved = [];
  insertBefore(row, next) {
    this.moved.push(row);
    this.rows = this.rows.filter((r) => r !== row);
    this.rows.splice(next ? this.rows.indexOf(next) : this.rows.length, 0, row);
    row.parentNode = this;
  }
}

class Row {
  parentNode = null;
  constructor(name) {
    this.name = name;
  }
  get nextSibling() {
    return this.parentNode.rows[this.parentNode.rows.indexOf(this) + 1] ?? null;
  }
  contains(other) {
    return other === this;
  }
}

/** @template T @param {T[]} list @returns {T[][]} */
function orders(list) {
  if (list.length < 2) return [list];
  return list.flatMap((one, i) => orders([...list.slice(0, i), ...list.slice(i + 1)]).map((rest) => [one, ...rest]));
}

test("every order is reached from every other, and the row with the focus is not moved", () => {
  const rows = ["a", "b", "c", "d", "e"].map((name) => new Row(name));
  const extra = new Row("new");
  for (const want of orders([...rows, extra])) {
    for (const focus of [null, ...rows]) {
      const body = new Body();
      for (const row of rows) body.insertBefore(row, null);
      extra.parentNode = null;
      body.moved = [];
      arrange(body, want, focus);
      assert.deepEqual(body.rows, want);
      assert.ok(!body.moved.includes(focus));
    }
  }
});

test("rows that are in order are not moved", () => {
  const body = new Body();
  const rows = ["a", "b", "c"].map((name) => new Row(name));
  arrange(body, rows, null);
  body.moved = [];
  arrange(body, rows, null);
  assert.deepEqual(body.moved, []);
});

test("close returns the sentence of the server", async () => {
  const asked = [];
  const answer = (status, text) => async (url, options) => {
    asked.push([url.href, options.method, options.headers, options.body]);
    return { ok: status < 300, status, text: async () => text };
  };
  const url = new URL("http://localhost:9090/connections/1/close");
  assert.equal(await close(url, 1001, "why", answer(204, "")), "");
  assert.deepEqual(asked, [[url.href, "POST", { "Content-Type": "application/json" }, '{"code":1001,"reason":"why"}']]);
  assert.equal(await close(url, 1001, "", answer(404, "there is no connection\n")), "there is no connection");
  assert.equal(await close(url, 1001, "", answer(500, "")), "The server answered 500.");
  assert.equal(await close(url, 1001, "", async () => { throw new Error("Failed to fetch"); }), "The server did not answer: Failed to fetch");
});
