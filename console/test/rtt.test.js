import assert from "node:assert/strict";
import test from "node:test";

import { Echoes } from "../assets/rtt.js";
import { Series, bucket, buckets } from "../assets/series.js";
import { message } from "../assets/store.js";

const text = (s, out = false) => message(s, out);
const binary = (...values) => message(new Uint8Array(values).buffer, false);

test("an echo has the time since its message", () => {
  const echoes = new Echoes();
  echoes.sent(text("a"), 10);
  echoes.sent(text("a"), 20);
  assert.equal(echoes.received(text("a"), 30), 20);
  assert.equal(echoes.received(text("a"), 31), 11);
  assert.equal(echoes.received(text("a"), 32), undefined);
});

test("a message that is no echo has no time", () => {
  const echoes = new Echoes();
  echoes.sent(text("a"), 1);
  assert.equal(echoes.received(text("b"), 2), undefined);
  assert.equal(echoes.received(binary(0x61), 2), undefined);
  assert.equal(echoes.received(text("a"), 3), 2);
});

test("a lost message does not disturb the next one", () => {
  const echoes = new Echoes();
  for (const [i, s] of ["a", "b", "c"].entries()) echoes.sent(text(s), i);
  assert.equal(echoes.received(text("b"), 5), 4);
  assert.equal(echoes.received(text("a"), 6), undefined);
  assert.equal(echoes.waiting, 1);
});

test("large and binary messages are compared by samples", () => {
  const echoes = new Echoes();
  echoes.sent(text("x".repeat(1e6)), 0);
  echoes.sent(binary(1, 2, 3), 0);
  assert.equal(echoes.received(text("y".repeat(1e6)), 1), undefined);
  assert.equal(echoes.received(text("x".repeat(1e6)), 1), 1);
  assert.equal(echoes.received(binary(1, 2, 4), 1), undefined);
  assert.equal(echoes.received(binary(1, 2, 3), 2), 2);
});

test("the number of waiting messages is bounded", () => {
  const echoes = new Echoes();
  for (let i = 0; i < 5000; i++) echoes.sent(text("x"), i);
  assert.equal(echoes.waiting, 1024);
});

test("a series has the means and rates of one minute", () => {
  const series = new Series();
  const now = 1e6;
  series.add(now - 2 * bucket, true);
  series.add(now - 2 * bucket, false, 1);
  series.add(now - 2 * bucket, false, 3);
  const [times, rtts, rates] = series.points(now);
  assert.equal(times.length, buckets);
  assert.deepEqual([times[0], times.at(-1)], [-(buckets - 1) * bucket / 1000, 0]);
  assert.deepEqual(rtts.slice(-2), [2, null]);
  assert.equal(rates.at(-1), 2); // in the last second
  assert.equal(rates[0], 0);
});

test("a series forgets what is older, and its memory is bounded", () => {
  const series = new Series();
  for (let t = 0; t < 200_000; t += 10) series.add(t, false, t);
  const [, rtts, rates] = series.points(200_000);
  assert.ok(rtts.every((v) => v > 139_000));
  assert.equal(rates.at(-1), 100);
  const { last, median, high } = series.rtt;
  assert.ok(last === 199_990 && median < high && median > 170_000);
  series.clear();
  assert.equal(series.rtt.median, undefined);
});
