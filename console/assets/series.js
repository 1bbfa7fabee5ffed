/** The figures of the plot and of the statistics. */

export const bucket = 250; // ms
export const buckets = 240; // one minute
const smoothed = 4; // buckets of a rate

/** A Series has the rates and round-trip times of the last minute. */
export class Series {
  /** @type {{at: number, in: number, out: number, rtt: number, rtts: number}[]} oldest first */
  #buckets = [];
  /** @type {number[]} the newest round-trip times */
  #rtts = [];

  /**
   * @param {number} now in ms, which never decreases
   * @param {boolean} out
   * @param {number} [rtt]
   */
  add(now, out, rtt) {
    const b = this.#at(now);
    if (out) b.out++;
    else b.in++;
    if (rtt === undefined) return;
    b.rtt += rtt;
    b.rtts++;
    this.#rtts.push(rtt);
    if (this.#rtts.length > 2000) this.#rtts.splice(0, 1000);
  }

  /** @param {number} now */
  #at(now) {
    const at = Math.floor(now / bucket);
    let last = this.#buckets.at(-1);
    if (last?.at === at) return last;
    last = { at, in: 0, out: 0, rtt: 0, rtts: 0 };
    this.#buckets.push(last);
    if (this.#buckets.length > buckets) this.#buckets.shift();
    return last;
  }

  /**
   * points returns the columns of the plot. The first is the time in s before now. The second
   * is the mean round-trip time of each bucket in ms, or null. The third is the number of
   * messages received per second, as the mean of one second.
   * @param {number} now
   * @returns {[number[], (number | null)[], (number | null)[]]}
   */
  points(now) {
    const newest = Math.floor(now / bucket) - 1; // the present bucket is not full
    /** @type {number[]} */
    const received = []; // in each bucket
    /** @type {[number[], (number | null)[], (number | null)[]]} */
    const columns = [[], [], []];
    let next = 0;
    for (let at = newest - buckets + 1; at <= newest; at++) {
      while (next < this.#buckets.length && this.#buckets[next].at < at) next++;
      const b = this.#buckets[next]?.at === at ? this.#buckets[next] : undefined;
      columns[0].push(((at - newest) * bucket) / 1000);
      columns[1].push(b?.rtts ? b.rtt / b.rtts : null);
      received.push(b?.in ?? 0);
      columns[2].push(received.slice(-smoothed).reduce((sum, n) => sum + n) * 1000 / bucket / smoothed);
    }
    return columns;
  }

  /** The last, the median and the 95th percentile of the newest round-trip times. */
  get rtt() {
    const sorted = [...this.#rtts].sort((a, b) => a - b);
    const part = (/** @type {number} */ p) => sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))];
    return { last: this.#rtts.at(-1), median: part(0.5), high: part(0.95) };
  }

  clear() {
    this.#buckets = [];
    this.#rtts = [];
  }
}
