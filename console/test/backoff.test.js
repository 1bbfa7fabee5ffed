import assert from "node:assert/strict";
import test from "node:test";

import { wait } from "../assets/backoff.js";

test("the wait doubles up to 30 s", () => {
  const longest = [1, 2, 3, 4, 5, 6, 7, 8, 1000].map((n) => wait(n, () => 1));
  assert.deepEqual(longest, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test("the wait is at least half of the longest", () => {
  assert.equal(wait(1, () => 0), 250);
  assert.equal(wait(9, () => 0), 15_000);
});
