/** The plot of round-trip time and rate. */

import { byId, setText } from "./dom.js";
import { duration } from "./format.js";

/** @typedef {import("./session.js").Session} Session */

/**
 * startPlot returns a function that draws the present figures.
 * @param {Session} session
 */
export function startPlot(session) {
  const box = byId("plot");
  /** @type {uPlot | undefined} */
  let plot;
  const points = () => session.series.points(session.now());
  const size = () => ({ width: Math.max(box.clientWidth, 200), height: box.clientHeight });
  const create = () => {
    plot?.destroy();
    plot = new uPlot({ ...options(), ...size() }, points(), box);
  };
  create();
  new ResizeObserver(() => plot?.setSize(size())).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", create);
  return () => {
    const columns = points();
    plot?.setData(columns);
    const rate = columns[2].at(-1) ?? 0;
    box.dataset.points = String(columns[1].filter((v) => v !== null).length);
    setText(byId("plot-now"), `median ${duration(session.series.rtt.median)}, now ${Math.round(rate)} messages per second`);
  };
}

/** @returns {Omit<uPlot.Options, "width" | "height">} */
function options() {
  const style = getComputedStyle(document.documentElement);
  const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--muted"), font: "11px system-ui, sans-serif", size: 46, ticks: { show: false },
    grid: { stroke: color("--line"), width: 1 },
  };
  /** @param {number} least the least height of a scale */
  const range = (least) => (/** @type {uPlot} */ _, /** @type {number} */ __, /** @type {number} */ high) =>
    /** @type {[number, number]} */ ([0, Math.max(least, (high ?? 0) * 1.15)]);
  return {
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 0, 0, 0],
    scales: { x: { time: false, range: [-60, 0] }, ms: { range: range(1) }, rate: { range: range(10) } },
    axes: [
      { ...axis, size: 26, values: (_, values) => values.map((v) => `${v} s`) },
      { ...axis, scale: "ms", values: (_, values) => values.map((v) => (v < 1000 ? `${v} ms` : `${v / 1000} s`)) },
      { ...axis, scale: "rate", side: 1, grid: { show: false }, values: (_, values) => values.map((v) => (v < 1000 ? `${v}/s` : `${v / 1000}k/s`)) },
    ],
    series: [
      {},
      { label: "RTT", scale: "ms", stroke: color("--accent"), width: 2, spanGaps: true, points: { show: true, size: 4, fill: color("--accent") } },
      { label: "rate", scale: "rate", stroke: color("--second"), width: 1.5, fill: color("--second-soft"), points: { show: false } },
    ],
  };
}
