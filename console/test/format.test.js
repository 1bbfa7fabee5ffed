import assert from "node:assert/strict";
import test from "node:test";

import { clock, count, duration, indent, isJSON, line, size } from "../assets/format.js";

test("sizes", () => {
  for (const [bytes, want] of [[0, "0 B"], [1023, "1023 B"], [1024, "1.00 KiB"], [1536, "1.50 KiB"], [1 << 20, "1.00 MiB"], [300 * 1024, "300 KiB"], [5e12, "4657 GiB"]]) {
    assert.equal(size(bytes), want);
  }
});

test("durations", () => {
  for (const [ms, want] of [[undefined, "–"], [0.1234, "0.12 ms"], [12.34, "12.3 ms"], [345.6, "346 ms"], [1234, "1.2 s"], [61_000, "1 min 1 s"], [3_660_000, "1 h 1 min"]]) {
    assert.equal(duration(ms), want);
  }
});

test("counts have groups of three digits", () => assert.equal(count(1234567), "1,234,567"));

test("the clock has milliseconds", () => {
  assert.equal(clock(new Date(2026, 1, 3, 4, 5, 6, 7).getTime()), "04:05:06.007");
});

test("a line shows control characters and the marks of directions", () => {
  assert.equal(line("a\tb\r\nc\u0000\u202e\u2066d\u200b"), "a\\tb\\r\\nc\\u0000\\u202e\\u2066d\\u200b");
  assert.equal(line("x".repeat(200), 3), "xxx…");
  assert.equal(line("<b>é</b>"), "<b>é</b>");
});

test("JSON is indented, and its numbers and strings stay", () => {
  const text = '{"a":[1.0,12345678901234567890,"x,\\"y: {z}"],"b":{ },"c":[],"a":null}';
  assert.ok(isJSON(text));
  assert.equal(indent(text, 1000).text, [
    "{", '  "a": [', "    1.0,", "    12345678901234567890,", '    "x,\\"y: {z}"', "  ],",
    '  "b": {},', '  "c": [],', '  "a": null', "}"].join("\n"));
});

test("indented JSON has the same value", () => {
  for (const text of ['[[],[[]],{"a":{}}]', ' [ true , false,null , -1e-5 ] ', '{"":"\\\\"}']) {
    assert.deepEqual(JSON.parse(indent(text, 1000).text), JSON.parse(text));
  }
});

test("indented JSON is cut", () => {
  const { text, cut } = indent(JSON.stringify(Array(1e5).fill(0)), 100);
  assert.ok(cut && text.length < 200, `${text.length}`);
});

test("deep JSON stays small", () => {
  const deep = "[".repeat(5000) + "]".repeat(5000);
  assert.ok(indent(deep, 1e9).text.length < 1e6);
});

test("other texts are no JSON", () => {
  for (const text of ["", "1", '"a"', "{", "[1,]", "hello", "[".repeat(1e6)]) assert.equal(isJSON(text), false, text.slice(0, 9));
});
