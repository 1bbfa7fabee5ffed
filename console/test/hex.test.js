import assert from "node:assert/strict";
import test from "node:test";

import { digits, dump, parse } from "../assets/hex.js";

test("digits become bytes", () => {
  for (const text of ["00ff10", "00 FF 10", "0x00, 0xff, 0x10", "00:ff:10", "00\nff\t10"]) {
    assert.deepEqual([...parse(text)], [0, 255, 16], text);
  }
  assert.equal(parse("").length, 0);
});

test("wrong digits are refused with a sentence", () => {
  assert.throws(() => parse("0g"), /"g" is no hexadecimal digit/);
  assert.throws(() => parse("0😀"), /"😀" is no/);
  assert.throws(() => parse("abc"), /3 digits are half a byte too many/);
});

test("all bytes survive", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  assert.deepEqual(parse(digits(all)), all);
});

test("a dump has offsets, digits and characters", () => {
  const bytes = new TextEncoder().encode("hello, wide world\u0001");
  assert.equal(dump(bytes), [
    "00000000  68 65 6c 6c 6f 2c 20 77  69 64 65 20 77 6f 72 6c  hello, wide worl",
    "00000010  64 01                                             d."].join("\n"));
  assert.equal(dump(new Uint8Array()), "");
  assert.equal(dump(new Uint8Array(1 << 20), 32).split("\n").length, 2);
});
