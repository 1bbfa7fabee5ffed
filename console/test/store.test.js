import assert from "node:assert/strict";
import test from "node:test";

import { Store, bytesOf, jsonLines, matches, message } from "../assets/store.js";
import { View } from "../assets/view.js";

const bytes = (...values) => new Uint8Array(values).buffer;

test("a message has its size in bytes", () => {
  assert.equal(message("né😀", true).size, 7);
  assert.equal(message(bytes(1, 2, 3), false).size, 3);
  assert.deepEqual([...bytesOf(message("é", false))], [0xc3, 0xa9]);
});

test("the store keeps the newest 1,000", () => {
  const store = new Store();
  for (let i = 1; i <= 2500; i++) store.add(message(String(i), false));
  assert.equal(store.messages.length, 1000);
  assert.equal(store.messages[0].text, "1501");
  assert.equal(store.messages.at(-1).id, 2500);
  assert.equal(store.added, 2500);
});

test("the store keeps fewer large messages, and always the newest one", () => {
  const store = new Store(1000, 100);
  for (let i = 0; i < 10; i++) store.add(message("x".repeat(40), false));
  assert.equal(store.messages.length, 2);
  store.add(message("y".repeat(500), false));
  assert.deepEqual(store.messages.map((m) => m.size), [500]);
  store.clear();
  store.add(message("z".repeat(90), false));
  store.add(message("z", false));
  assert.equal(store.messages.length, 2);
});

test("a filter finds text in any case, and hexadecimal digits", () => {
  const text = { ...message("Hello World", true), id: 1 };
  const binary = { ...message(bytes(0xca, 0xfe), false), id: 2 };
  assert.ok(matches(text, "", "world") && matches(text, "out", "") && !matches(text, "in", ""));
  assert.ok(matches(binary, "in", "ca fe") && !matches(binary, "", "hello"));
  assert.ok(matches(binary, "", "cafe") && matches(binary, "", "caf") && !matches(binary, "", "afe"));
});

test("the messages become lines of JSON", () => {
  const store = new Store();
  store.add({ ...message("a\n\u2028\"", true), time: 0 });
  store.add({ ...message(bytes(0, 255), false), time: 1, rtt: 0.5 });
  const lines = jsonLines(store.messages).split("\n");
  assert.equal(lines.length, 3);
  assert.deepEqual(JSON.parse(lines[0]), { time: "1970-01-01T00:00:00.000Z", direction: "out", type: "text", size: 6, text: "a\n\u2028\"" });
  assert.deepEqual(JSON.parse(lines[1]), { time: "1970-01-01T00:00:00.001Z", direction: "in", type: "binary", size: 2, rtt_ms: 0.5, base64: "AP8=" });
});

test("a view follows the store", () => {
  const store = new Store(10);
  const view = new View();
  const add = (...texts) => texts.forEach((text) => store.add(message(text, false)));
  const shown = () => {
    view.update(store.messages);
    return view.items.map((m) => m.text).join(" ");
  };
  assert.equal(shown(), "");
  add("a1", "b1", "a2");
  assert.equal(shown(), "a1 b1 a2");
  view.filter("", "A");
  assert.equal(shown(), "a1 a2");
  add("a3", "b2");
  assert.equal(shown(), "a1 a2 a3");
  view.pause(true);
  add("a4");
  assert.equal(shown(), "a1 a2 a3");
  view.pause(false);
  assert.equal(shown(), "a1 a2 a3 a4");
  for (let i = 0; i < 8; i++) add(`b${i}`);
  assert.equal(shown(), "a4"); // the store has dropped the others
  view.filter("out", "");
  assert.equal(shown(), "");
});

test("a paused view without a filter keeps its items", () => {
  const store = new Store(3);
  const view = new View();
  for (const text of ["1", "2", "3"]) store.add(message(text, false));
  view.update(store.messages);
  view.pause(true);
  store.add(message("4", false));
  view.update(store.messages);
  assert.deepEqual(view.items.map((m) => m.text), ["1", "2", "3"]);
  store.clear();
  view.clear();
  store.add(message("5", false));
  view.update(store.messages);
  assert.equal(view.items.length, 0);
});

test("a paused view keeps its messages when the filter changes", () => {
  const store = new Store(3);
  const view = new View();
  const add = (...texts) => texts.forEach((text) => store.add(message(text, false)));
  const shown = () => {
    view.update(store.messages);
    return view.items.map((m) => m.text).join(" ");
  };
  add("a1", "b1", "a2");
  shown();
  view.pause(true);
  add("a3", "b2");
  view.filter("", "a");
  assert.equal(shown(), "a1 a2"); // although the store has dropped a1
  add("a4", "a5");
  view.filter("", "");
  assert.equal(shown(), "a1 b1 a2");
  view.clear();
  assert.equal(shown(), "");
  view.pause(false);
  assert.equal(shown(), "b2 a4 a5");
});

test("a view finds an id, or the next one", () => {
  const store = new Store();
  const view = new View();
  for (let i = 1; i <= 9; i++) store.add(message(i % 2 ? "odd" : "even", false));
  view.filter("", "even");
  view.update(store.messages); // ids 2, 4, 6, 8
  assert.deepEqual([1, 2, 3, 8, 9].map((id) => view.indexOf(id)), [0, 0, 1, 3, 4]);
});
