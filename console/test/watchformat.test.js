import assert from "node:assert/strict";
import test from "node:test";

import { age, ariaSort, columns, details, nextOrder, pair, query, silence, summary } from "../assets/watchformat.js";

const connection = {
  id: 12, remote: "192.0.2.7:51234", uri: "/chat?…", subprotocol: "", since: "2026-01-02T15:04:05Z", age_seconds: 30,
  last_received: "2026-01-02T15:04:25.5Z", rtt_seconds: null, state: "open", peer: "alive",
  messages_in: 1234, messages_out: 0, bytes_in: 999, bytes_out: 1_500_000,
};

test("an age has one unit", () => {
  for (const [seconds, want] of [
    [0, "0 s"], [59.9, "59 s"], [60, "1 min"], [3599, "59 min"], [3600, "1 h"], [47.9 * 3600, "47 h"], [48 * 3600, "2 d"], [1e9, "11,574 d"],
  ]) assert.equal(age(seconds), want);
});

test("two numbers share a unit", () => {
  assert.equal(pair("1.00 KiB", "2.50 KiB"), "1.00 / 2.50 KiB");
  assert.equal(pair("1 B", "2.50 KiB"), "1 B / 2.50 KiB");
});

test("a row has the texts of its connection", () => {
  assert.deepEqual(columns.map((c) => c.text(connection)),
    ["192.0.2.7:51234", "30 s ago", "9 s ago", "–", "1,234 / 0", "999 B / 1.43 MiB", "open"]);
  const state = columns[columns.length - 1];
  assert.equal(state.text({ ...connection, peer: "late" }), "open, late");
  assert.equal(state.text({ ...connection, state: "closing", peer: "dead" }), "closing");
  assert.equal(details(connection), "#12 · /chat?…");
  assert.equal(details({ ...connection, subprotocol: "v1", fault: "drop=rst" }), "#12 · /chat?… · v1 · fault drop=rst");
});

test("the clock of the browser does not matter for ages", () => {
  assert.equal(silence(connection), 9.5);
  assert.equal(silence({ ...connection, last_received: "2026-01-02T16:00:00Z" }), 0); // received after age_seconds was read
});

test("a click sorts by a column, and a second one reverses the order", () => {
  const [address, since] = columns;
  const first = nextOrder({ order: "bytes", descending: true }, address);
  assert.deepEqual(first, { order: "remote", descending: false });
  assert.deepEqual(nextOrder(first, address), { order: "remote", descending: true });
  assert.deepEqual(nextOrder(first, since), { order: "since", descending: true });
  assert.deepEqual([ariaSort(first, address), ariaSort(nextOrder(first, address), address), ariaSort(first, since)], ["ascending", "descending", "none"]);
});

test("the query sorts by what the column shows", () => {
  assert.equal(query({ order: "bytes", descending: true }, 500), "?sort=-bytes&limit=500");
  assert.equal(query({ order: "remote", descending: false }, 500), "?sort=remote&limit=500");
  // The longest age has the earliest time.
  assert.equal(query({ order: "since", descending: true }, 10), "?sort=since&limit=10");
  assert.equal(query({ order: "last_received", descending: false }, 10), "?sort=-last_received&limit=10");
});

test("the summary counts what is not shown", () => {
  const listing = { open: 1, endings: {}, connections: [connection] };
  assert.equal(summary(listing, "Since"), "1 connection is open. 0 have ended.");
  assert.equal(summary({ open: 12_000, endings: { normal: 1000, "no pong": 1 }, connections: [connection, connection] }, "Last received"),
    "12,000 connections are open, and the first 2 by last received are shown. 1,001 have ended.");
  assert.equal(summary({ open: 0, endings: { normal: 1 }, connections: [] }, "Since"), "0 connections are open. 1 has ended.");
});
