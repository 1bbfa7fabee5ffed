import assert from "node:assert/strict";
import test from "node:test";

import { poll } from "../assets/watchpoll.js";

/** fake returns timers that the test fires, questions that it answers, and what was shown. */
function fake() {
  /** @type {Map<number, {f: () => void, ms: number}>} */
  const timers = new Map();
  let last = 0;
  const questions = [];
  const shown = [];
  const poller = poll(
    (signal) => new Promise((answer, refuse) => {
      signal.addEventListener("abort", () => refuse(signal.reason));
      questions.push({ answer, refuse, signal });
    }),
    (answer) => shown.push(answer),
    (error) => shown.push(error.message),
    { setTimeout: (f, ms) => (timers.set(++last, { f, ms }), last), clearTimeout: (id) => timers.delete(id) },
  );
  const settle = () => new Promise((done) => setImmediate(done));
  return {
    poller, questions, shown, settle,
    waits: () => [...timers.values()].map((t) => t.ms),
    fire() {
      const [[id, { f }]] = timers;
      timers.delete(id);
      f();
    },
  };
}

test("the next question follows a second after the answer", async () => {
  const t = fake();
  t.poller.run(true);
  t.poller.run(true);
  assert.deepEqual([t.questions.length, t.waits()], [1, [10_000]]);
  t.questions[0].answer("a");
  await t.settle();
  assert.deepEqual([t.shown, t.waits()], [["a"], [1000]]);
  t.fire();
  assert.equal(t.questions.length, 2);
});

test("a hidden page asks nothing", async () => {
  const t = fake();
  t.poller.run(true);
  t.poller.run(false);
  await t.settle();
  assert.deepEqual([t.questions[0].signal.aborted, t.shown, t.waits()], [true, [], []]);
  t.poller.run(true);
  t.questions[1].answer("b");
  await t.settle();
  t.poller.run(false);
  assert.deepEqual([t.shown, t.waits()], [["b"], []]);
});

test("a new order drops the answer to the old one", async () => {
  const t = fake();
  t.poller.run(true);
  t.poller.now();
  t.questions[0].answer("old");
  t.questions[1].answer("new");
  await t.settle();
  assert.deepEqual([t.shown, t.waits()], [["new"], [1000]]);
});

test("a paused page asks once for a new order", async () => {
  const t = fake();
  t.poller.now();
  t.questions[0].answer("a");
  await t.settle();
  assert.deepEqual([t.shown, t.waits()], [["a"], []]);
});

test("failures are reported, and the waits grow to 30 s", async () => {
  const t = fake();
  t.poller.run(true);
  for (let i = 0; i < 12; i++) {
    t.questions[i].refuse(new Error("no server"));
    await t.settle();
    const [wait] = t.waits();
    assert.ok(wait >= 1000 && wait <= 30_000 && (i < 10 || wait >= 15_000), `wait ${i} is ${wait}`);
    t.fire();
  }
  assert.equal(t.shown.length, 12);
  t.questions[12].answer("back");
  await t.settle();
  assert.deepEqual([t.shown[12], t.waits()], ["back", [1000]]);
});

test("a server that does not answer is a failure after 10 s", async () => {
  const t = fake();
  t.poller.run(true);
  t.fire();
  await t.settle();
  assert.deepEqual(t.shown, ["the server does not answer"]);
});
