import { count, duration, size } from "./format.js";

/**
 * The columns of the table of connections, and the texts in them.
 *
 * @typedef {{id: number, remote: string, uri: string, subprotocol: string, fault?: string, since: string,
 *   age_seconds: number, last_received: string, rtt_seconds: number | null, state: string, peer: string,
 *   messages_in: number, messages_out: number, bytes_in: number, bytes_out: number}} Connection
 * @typedef {{open: number, endings: Record<string, number>, connections: Connection[]}} Listing
 *
 * @typedef {object} Column
 * @property {string} order the value of the parameter sort
 * @property {string} title
 * @property {boolean} descending whether the first click on the title sorts from the largest value
 * @property {(c: Connection) => string} text
 */

/** @type {Column[]} */
export const columns = [
  { order: "remote", title: "Address", descending: false, text: (c) => c.remote },
  { order: "since", title: "Since", descending: true, text: (c) => `${age(c.age_seconds)} ago` },
  { order: "last_received", title: "Last received", descending: true, text: (c) => `${age(silence(c))} ago` },
  { order: "rtt_seconds", title: "RTT", descending: true, text: (c) => duration(c.rtt_seconds === null ? undefined : c.rtt_seconds * 1000) },
  { order: "messages", title: "Messages", descending: true, text: (c) => `${count(c.messages_in)} / ${count(c.messages_out)}` },
  { order: "bytes", title: "Bytes", descending: true, text: (c) => pair(size(c.bytes_in), size(c.bytes_out)) },
  { order: "state", title: "State", descending: false, text: (c) => (c.peer === "alive" || c.state === "closing" ? c.state : `${c.state}, ${c.peer}`) },
];

/**
 * silence returns the seconds since the last received byte, by the clock of the server.
 * @param {Connection} c
 */
export function silence(c) {
  return Math.max(0, (Date.parse(c.since) - Date.parse(c.last_received)) / 1000 + c.age_seconds);
}

/**
 * details returns what the table shows below the address.
 * @param {Connection} c
 */
export function details(c) {
  const parts = [`#${c.id}`, c.uri];
  if (c.subprotocol) parts.push(c.subprotocol);
  if (c.fault) parts.push(`fault ${c.fault}`);
  return parts.join(" · ");
}

/**
 * age returns a number of seconds in its largest unit.
 * @param {number} seconds
 */
export function age(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${count(Math.floor(seconds / 86_400))} d`;
}

/**
 * pair joins two numbers. They share a unit if it is the same.
 * @param {string} a
 * @param {string} b
 */
export function pair(a, b) {
  const [number, unit] = a.split(" ");
  return `${unit === b.split(" ")[1] ? number : a} / ${b}`;
}

/**
 * summary returns the sentence above the table.
 * @param {Listing} l
 * @param {string} title the column that sorts
 */
export function summary(l, title) {
  let ended = 0;
  for (const n of Object.values(l.endings)) ended += n;
  const open = l.open === 1 ? "1 connection is open" : `${count(l.open)} connections are open`;
  const shown = l.connections.length;
  const part = shown < l.open ? `, and the first ${count(shown)} by ${title.toLowerCase()} are shown` : "";
  return `${open}${part}. ${count(ended)} ${ended === 1 ? "has" : "have"} ended.`;
}

/**
 * An Order is a column of the table and a direction.
 * @typedef {{order: string, descending: boolean}} Order
 */

/**
 * nextOrder returns the order after a click on the title of a column.
 * @param {Order} now
 * @param {Column} column
 * @returns {Order}
 */
export function nextOrder(now, column) {
  if (now.order !== column.order) return { order: column.order, descending: column.descending };
  return { order: now.order, descending: !now.descending };
}

/**
 * query returns the parameters of a request. The order of
 * the ages is the reverse of the order of the times.
 * @param {Order} o
 * @param {number} limit
 */
export function query(o, limit) {
  const ages = o.order === "since" || o.order === "last_received";
  return `?sort=${o.descending !== ages ? "-" : ""}${o.order}&limit=${limit}`;
}

/**
 * ariaSort returns the attribute aria-sort of a column's title.
 * @param {Order} now
 * @param {Column} column
 */
export function ariaSort(now, column) {
  if (now.order !== column.order) return "none";
  return now.descending ? "descending" : "ascending";
}
