import assert from "node:assert/strict";
import test from "node:test";

import { codeText, describe, kindOf } from "../assets/explain.js";
import { greeting, pairs } from "../assets/hello.js";

const text = (from, to, name) => ({ from, to, name, meaning: `meaning of ${name}`, sender: "sender", causes: "causes", check: "check" });
const data = { endpoint: "", watch: false, faults: [], kinds: [], codes: [text(1000, undefined, "normal"), text(1006, undefined, "abnormal")], ranges: [text(4000, 4999, "application")] };
const end = (code, more) => ({ code, reason: "", clean: true, opened: true, local: false, again: false, ...more });

test("a code has its text or that of its range", () => {
  assert.equal(codeText(data, 1000).name, "normal");
  assert.equal(codeText(data, 4321).name, "application");
  assert.equal(codeText(data, 70_000), undefined);
});

test("the kinds of package ending", () => {
  assert.equal(kindOf(end(1000)), "normal");
  assert.equal(kindOf(end(1005)), "normal");
  assert.equal(kindOf(end(1001)), "going away");
  assert.equal(kindOf(end(1011)), "peer code");
  assert.equal(kindOf(end(1006, { clean: false })), "abnormal");
  assert.equal(kindOf(end(1006, { clean: false, opened: false })), "");
  assert.equal(kindOf(end(1000, { local: true })), "closed");
});

test("an ending in words", () => {
  const rows = new Map(describe(data, end(4000, { reason: "<b>bye</b>" }), "ws://a/"));
  assert.equal(rows.get("code"), "4000 (application)");
  assert.equal(rows.get("reason"), "<b>bye</b>");
  assert.equal(rows.get("side"), "the server began");
  assert.equal(rows.get("causes"), "causes");
  assert.ok(!rows.has("more"));
  assert.equal(new Map(describe(data, end(1006, { clean: false }), "ws://a/?'")).get("more"), "wsecho probe 'ws://a/?%27'");
});

test("a greeting becomes pairs", () => {
  assert.deepEqual(pairs({ server: "h", subprotocol: "", header: { A: ["1", "2"] }, tls: { version: "TLS 1.3" } }),
    [["server", "h"], ["A", "1"], ["A", "2"], ["tls version", "TLS 1.3"]]);
});

test("an answer that is no greeting stays small", () => {
  const many = (n) => JSON.stringify(Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, "v"])));
  assert.equal(greeting(many(3)).length, 3);
  assert.equal(greeting(many(10_000)).length, 500);
  for (const data of [many(100_000), "null", "text", new ArrayBuffer(9), '{"a":'.repeat(40_000) + "1" + "}".repeat(40_000)]) assert.throws(() => greeting(data));
});
