/** The figures of the connection, its states, and how it ended. */

import { byId, eachFrame, make, reducesMotion, rows, setText } from "./dom.js";
import { describe } from "./explain.js";
import { clock, count, duration, size } from "./format.js";
import { startPlot } from "./plot.js";

/**
 * @typedef {import("./session.js").Session} Session
 * @typedef {import("./session.js").Step} Step
 * @typedef {import("./data.js").Data} Data
 */

/**
 * startSee returns a function to call for each new state.
 * @param {Session} session
 * @param {Data} data
 */
export function startSee(session, data) {
  const drawPlot = startPlot(session);
  const figures = () => {
    drawFigures(session);
    drawStrip(session.steps);
    drawPlot();
  };
  let drawn = 0;
  /** @type {import("./session.js").Ending | undefined} */
  let explained;
  const draw = eachFrame(() => {
    drawn = drawSteps(session, drawn);
    figures();
    drawStatus(session);
    if (session.ending && session.ending !== explained) {
      explained = session.ending;
      const list = make("dl", { class: "facts" });
      rows(list, [...describe(data, explained, session.url), ["ended at", clock(session.endedAt)]]);
      byId("ending").replaceChildren(list);
    }
  });
  setInterval(() => {
    if (!document.hidden && session.entered > 0) figures();
  }, reducesMotion() ? 2000 : 500);
  draw();
  return draw;
}

/** @type {Record<string, string>} */
const words = { idle: "not connected", connecting: "connecting", open: "connected", closing: "closing", waiting: "waiting to reconnect" };

/** @param {Session} session */
function drawStatus(session) {
  const pill = byId("status");
  const { state, ending } = session;
  pill.dataset.state = state === "ended" && ending?.clean && ending.code < 1001 ? "idle" : state;
  setText(pill, state === "ended" ? `ended with ${ending?.code}` : words[state]);
}

/** @param {Session} session */
function drawFigures(session) {
  const { totals, connection, steps } = session;
  const { last, median, high } = session.series.rtt;
  const opened = steps.at(-1)?.state === "open" ? Date.now() - (steps.at(-1)?.at ?? 0) : undefined;
  const { protocol, extensions } = connection.agreed;
  /** @type {[string, string][]} */
  const figures = [
    [`sent, ${size(totals.outBytes)}`, count(totals.out)],
    [`received, ${size(totals.inBytes)}`, count(totals.in)],
    ["RTT last", duration(last)],
    ["RTT median", duration(median)],
    ["RTT 95 %", duration(high)],
    ["open for", opened === undefined ? "–" : duration(Math.max(opened, 1000))],
    ["subprotocol", protocol || "–"],
    ["extensions", extensions || "–"],
  ];
  const list = byId("stats");
  if (list.children.length === 0) rows(list, figures);
  figures.forEach(([name, text], i) => {
    const [dt, dd] = list.children[i].children;
    setText(dt, name);
    setText(dd.children[0], text);
  });
}

/**
 * drawSteps adds the states that are not drawn yet, newest first.
 * @param {Session} session
 * @param {number} drawn
 */
function drawSteps({ steps, entered }, drawn) {
  const list = byId("timeline");
  for (const step of steps.slice(Math.max(0, steps.length - (entered - drawn)))) {
    list.prepend(make("li", { "data-state": step.state },
      make("time", { datetime: new Date(step.at).toISOString() }, clock(step.at)),
      make("b", {}, step.state), make("bdi", {}, step.detail)));
  }
  while (list.children.length > steps.length) list.lastElementChild?.remove();
  return entered;
}

/**
 * drawStrip draws the last states as a bar. The width of each is its share of the time.
 * @param {Step[]} steps
 */
function drawStrip(steps) {
  const strip = byId("strip");
  const now = Date.now();
  const shown = steps.slice(-24);
  while (strip.children.length < shown.length) strip.append(make("i"));
  while (strip.children.length > shown.length) strip.lastElementChild?.remove();
  shown.forEach((step, i) => {
    const part = /** @type {HTMLElement} */ (strip.children[i]);
    part.dataset.state = step.state;
    part.style.flexGrow = String(Math.max(1, (shown[i + 1]?.at ?? now) - step.at));
  });
}
