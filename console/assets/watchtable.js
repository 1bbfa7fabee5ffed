/** The table of connections. A connection keeps its row, and a row its focus. */

import { make } from "./dom.js";
import { ariaSort, columns, details, nextOrder } from "./watchformat.js";

/** @typedef {import("./watchformat.js").Connection} Connection */
/** @typedef {import("./watchformat.js").Order} Order */

/**
 * A Row is a row of the table with the last known state of its connection.
 * @typedef {{row: HTMLTableRowElement, cells: HTMLElement[], details: HTMLElement, connection: Connection}} Row
 */

/**
 * makeTable returns the table, a function that shows connections in it, and its order.
 * @param {Order} order
 * @param {(order: Order) => void} onSort
 * @param {(c: Connection) => void} onClose
 */
export function makeTable(order, onSort, onClose) {
  // The roles are for the layout on phones, which is no table for some browsers.
  const titles = columns.map((column) => {
    const button = make("button", { type: "button" }, column.title);
    const th = make("th", { scope: "col", role: "columnheader" }, button);
    button.addEventListener("click", () => {
      order = nextOrder(order, column);
      showOrder();
      onSort(order);
    });
    return th;
  });
  const action = make("th", { scope: "col", role: "columnheader", class: "watch-action" }, make("span", { class: "sr" }, "Action"));
  const body = make("tbody", { role: "rowgroup" });
  const table = make("table", { role: "table", class: "watch-table", "aria-labelledby": "watch-caption" },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...titles, action)), body);
  const region = make("div", { class: "watch-scroll", role: "region", tabindex: "0", "aria-labelledby": "watch-caption" }, table);

  /** @type {Map<number, Row>} */
  const rows = new Map();

  function showOrder() {
    columns.forEach((column, i) => titles[i].setAttribute("aria-sort", ariaSort(order, column)));
  }
  showOrder();

  /** @param {Connection} c @returns {Row} */
  function makeRow(c) {
    const [first, ...others] = columns;
    const address = make("bdi");
    const below = make("bdi", { class: "watch-details" });
    const cells = others.map((column) => make("td", { role: "cell", "data-title": column.title }));
    const button = make("button", { type: "button", "aria-label": `Close connection ${c.id}` }, "Close");
    const row = make("tr", { role: "row" },
      make("th", { scope: "row", role: "rowheader", "data-title": first.title }, address, below),
      ...cells, make("td", { role: "cell", class: "watch-action" }, button));
    const made = { row, cells: [address, ...cells], details: below, connection: c };
    button.addEventListener("click", () => onClose(made.connection));
    return made;
  }

  /** @param {Connection} c */
  function update(c) {
    let r = rows.get(c.id);
    if (!r) rows.set(c.id, (r = makeRow(c)));
    r.connection = c;
    columns.forEach((column, i) => setText(r.cells[i], column.text(c)));
    setText(r.details, details(c));
    const since = columns.findIndex((column) => column.order === "since");
    r.cells[since].title = c.since; // the age in the cell is rounded
    if (r.row.dataset.state !== c.state) r.row.dataset.state = c.state;
    if (r.row.dataset.peer !== c.peer) r.row.dataset.peer = c.peer;
    return r.row;
  }

  /** @param {Connection[]} connections */
  function show(connections) {
    const ids = new Set(connections.map((c) => c.id));
    for (const [id, r] of rows) {
      if (ids.has(id)) continue;
      // The focus does not go to the next button: a second press must not close another connection.
      if (r.row.contains(document.activeElement)) region.focus({ preventScroll: true });
      r.row.remove();
      rows.delete(id);
    }
    arrange(body, connections.map(update), document.activeElement);
  }
  return { region, show };
}

/**
 * arrange puts the rows into an order. It does not move the row with the focus, because
 * that would remove the focus.
 * @param {Element} body its children are among the rows
 * @param {Element[]} rows
 * @param {Element | null} focus
 */
export function arrange(body, rows, focus) {
  const fixed = focus ? rows.findIndex((row) => row.contains(focus)) : -1;
  /** @type {Element | null} */
  let next = null;
  for (let i = rows.length - 1; i >= 0; i--) {
    if (i !== fixed && (rows[i].parentNode !== body || rows[i].nextSibling !== next)) body.insertBefore(rows[i], next);
    next = rows[i];
  }
}

/** @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
