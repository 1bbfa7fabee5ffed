/** Polling: one request at a time, and none while the page is hidden or paused. */

import { wait } from "./backoff.js";

const interval = 1000;
const longest = 10_000; // of one request

/**
 * A Poller asks again and again while it runs. Its function now asks once and at once.
 * @typedef {{now: () => void, run: (running: boolean) => void}} Poller
 */

/**
 * poll returns a Poller that does not run yet.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} ask
 * @param {(answer: T) => void} show
 * @param {(error: unknown) => void} fail
 * @param {{setTimeout: (f: () => void, ms: number) => any, clearTimeout: (timer: any) => void}} [timers]
 * @returns {Poller}
 */
export function poll(ask, show, fail, timers = globalThis) {
  let running = false;
  let failures = 0;
  /** @type {any} */
  let timer;
  let current = new AbortController();

  async function round() {
    stop();
    const mine = (current = new AbortController());
    const late = timers.setTimeout(() => mine.abort(new Error("the server does not answer")), longest);
    try {
      const answer = await ask(mine.signal);
      if (mine !== current) return;
      failures = 0;
      show(answer);
    } catch (error) {
      if (mine !== current) return;
      failures++;
      fail(error);
    } finally {
      timers.clearTimeout(late);
    }
    if (running) timer = timers.setTimeout(round, failures ? Math.max(interval, wait(failures)) : interval);
  }

  /** stop ends the wait or the request, whose answer is dropped. */
  function stop() {
    timers.clearTimeout(timer);
    current.abort();
    current = new AbortController();
  }

  return {
    now: () => void round(),
    run(on) {
      if (on === running) return;
      running = on;
      if (on) void round();
      else stop();
    },
  };
}
