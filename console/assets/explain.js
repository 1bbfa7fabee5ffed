/** How a connection ended, in the words of wsecho explain. */

/**
 * @typedef {import("./data.js").Data} Data
 * @typedef {import("./data.js").Text} Text
 * @typedef {import("./connection.js").Ending} Ending
 */

/**
 * codeText returns the text of a close code, or of its range.
 * @param {Data} data
 * @param {number} code
 * @returns {Text | undefined}
 */
export function codeText(data, code) {
  return data.codes.find((t) => t.from === code) ??
    data.ranges.find((t) => (t.from ?? 0) <= code && code <= (t.to ?? 0));
}

/**
 * kindOf returns the kind of an ending, as package ending names it. A reset and an
 * end of the stream look the same to a page. So do a close frame of the server and its answer
 * to that of the page.
 * @param {Ending} e
 */
export function kindOf(e) {
  if (e.local) return "closed";
  if (e.code === 1006) return e.opened ? "abnormal" : "";
  if (e.code === 1000 || e.code === 1005) return "normal";
  return e.code === 1001 ? "going away" : "peer code";
}

/**
 * describe returns the rows of an ending: a name and a text each.
 * @param {Data} data
 * @param {Ending} e
 * @param {string} url
 * @returns {[string, string][]}
 */
export function describe(data, e, url) {
  const kind = kindOf(e);
  const text = codeText(data, e.code);
  /** @type {[string, string][]} */
  const rows = [["code", `${e.code}${text?.name ? ` (${text.name})` : ""}`]];
  if (e.reason) rows.push(["reason", e.reason]);
  const meaning = data.kinds.find((t) => t.kind === kind)?.meaning;
  rows.push(["kind", kind ? [kind, meaning].filter(Boolean).join(": ") : "none: the connection never opened"]);
  rows.push(["side", e.local ? "this page began" : e.clean ? "the server began" : "the browser received no close frame"]);
  if (text) rows.push(["meaning", text.meaning], ["sent by", text.sender], ["causes", text.causes], ["check", text.check]);
  if (!e.clean) rows.push(["more", `wsecho probe '${url.replaceAll("'", "%27")}'`]);
  return rows;
}
