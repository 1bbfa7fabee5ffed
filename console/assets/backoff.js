/** The waits between two attempts to connect. */

const first = 500;
const longest = 30_000;

/**
 * wait returns how long to wait before an attempt, in ms. It is a random part of a time that
 * doubles with each failure. So the clients of a server that restarts do not return together.
 * @param {number} failures in a row, at least 1
 * @param {() => number} [random] from 0 to 1
 */
export function wait(failures, random = Math.random) {
  const most = Math.min(longest, first * 2 ** Math.min(failures - 1, 16));
  return Math.round(most / 2 + (most / 2) * random());
}
