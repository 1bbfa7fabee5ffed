/** The section Watch: the open connections of the server, and how the others have ended. */

import { announce, make } from "./dom.js";
import { count } from "./format.js";
import { makeCloseDialog } from "./watchclose.js";
import { columns, query, summary } from "./watchformat.js";
import { poll } from "./watchpoll.js";
import { makeTable } from "./watchtable.js";

/** @typedef {import("./watchformat.js").Listing} Listing */

const limit = 500; // rows; the server chooses them

/**
 * startWatch fills the section. It is called on the page of an admin listener only.
 * @param {HTMLElement} body
 * @param {import("./data.js").Data} data
 */
export function startWatch(body, data) {
  const connections = new URL("../connections", import.meta.url);
  document.head.append(make("link", { rel: "stylesheet", href: new URL("watch.css", import.meta.url).href }));

  let order = { order: "since", descending: false }; // the youngest first
  let paused = false;
  let failed = false;
  const line = make("p", { class: "hint", id: "watch-caption" }, "The open connections are being loaded.");
  const problem = make("p", { class: "error", hidden: "" });
  const pause = make("button", { type: "button", "aria-pressed": "false", "aria-label": "Pause the table" }, "Pause");
  const endings = makeEndings(data.kinds);
  const dialog = makeCloseDialog(connections, () => poller.now());
  const table = makeTable(order, (o) => { order = o; poller.now(); }, dialog.open);

  const poller = poll(
    async (signal) => {
      const answer = await fetch(connections.href + query(order, limit), { signal });
      if (!answer.ok) throw new Error((await answer.text()).trim());
      return /** @type {Promise<Listing>} */ (answer.json());
    },
    (listing) => {
      const title = columns.find((c) => c.order === order.order)?.title ?? "";
      line.textContent = summary(listing, title);
      table.show(listing.connections);
      endings.show(listing.endings);
      problem.hidden = true;
      failed = false;
    },
    (error) => {
      problem.textContent = `The table is out of date: ${error instanceof Error ? error.message : error}. The page tries again.`;
      problem.hidden = false;
      if (!failed) announce(problem.textContent);
      failed = true;
    },
  );
  const run = () => poller.run(!paused && !document.hidden);
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    run();
  });
  document.addEventListener("visibilitychange", run);

  body.append(
    make("div", { class: "card" }, make("div", { class: "row watch-head" }, line, pause), problem, table.region),
    make("div", { class: "card" }, make("h3", { id: "watch-endings" }, "How connections have ended"), endings.element),
    dialog.dialog,
  );
  run();
}

/**
 * makeEndings returns the table of endings. A kind has a row once it has occurred.
 * @param {import("./data.js").Text[]} kinds
 */
function makeEndings(kinds) {
  const none = make("p", { class: "hint" }, "No connection has ended.");
  const rows = make("tbody");
  const table = make("table", { class: "watch-endings", "aria-labelledby": "watch-endings", hidden: "" },
    make("thead", {}, make("tr", {}, ...["Kind", "Began by", "Count", "Meaning"].map((title) => make("th", { scope: "col" }, title)))), rows);
  /** @type {Map<string, {row: HTMLElement, number: HTMLElement}>} */
  const known = new Map();
  for (const kind of kinds) {
    const number = make("td");
    const row = make("tr", { hidden: "" }, make("th", { scope: "row" }, kind.kind ?? ""), make("td", {}, kind.by || "–"), number, make("td", {}, kind.meaning));
    known.set(kind.kind ?? "", { row, number });
    rows.append(row);
  }
  return {
    element: make("div", { class: "watch-scroll" }, none, table),
    /** @param {Record<string, number>} endings */
    show(endings) {
      table.hidden = Object.keys(endings).length === 0;
      none.hidden = !table.hidden;
      for (const [kind, { row, number }] of known) {
        row.hidden = !(kind in endings);
        number.textContent = count(endings[kind] ?? 0);
      }
    },
  };
}
