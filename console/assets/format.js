/** The forms of values for people. */

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value >= 100 ? Math.round(value) : value.toPrecision(3)} ${["B", "KiB", "MiB", "GiB"][power]}`;
}

/** @param {number | undefined} ms */
export function duration(ms) {
  if (ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s.toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

const grouped = new Intl.NumberFormat("en-US");

/** @param {number} n */
export function count(n) {
  return grouped.format(n);
}

/**
 * clock returns the local time of day.
 * @param {number} ms since 1970
 */
export function clock(ms) {
  const t = new Date(ms);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${String(t.getMilliseconds()).padStart(3, "0")}`;
}

/** Characters that a line does not show, or that change the order of others. */
const hidden = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * line returns the beginning of a text in one line, with escapes for what cannot be seen.
 * @param {string} text
 * @param {number} [longest] characters
 */
export function line(text, longest = 160) {
  const shown = text.slice(0, longest).replace(hidden, (c) => {
    const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[c];
    return short ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return text.length > longest ? `${shown}…` : shown;
}

/**
 * isJSON reports whether a text is a JSON object or array.
 * @param {string} text
 */
export function isJSON(text) {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false; // also for too many levels
  }
}

/**
 * indent indents a JSON text and keeps each of its numbers and strings as they are. cut
 * is true if the result ends after longest characters.
 * @param {string} text
 * @param {number} longest
 * @returns {{text: string, cut: boolean}}
 */
export function indent(text, longest) {
  let out = "";
  let depth = 0;
  const newline = () => "\n" + "  ".repeat(Math.min(depth, 32));
  // A string, an empty pair, a sign, or another value.
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{]\s*[\]}]|[[\]{},:]|[^\s[\]{},:"]+/g)) {
    if (out.length > longest) return { text: out, cut: true };
    if (token === "{" || token === "[") {
      depth++;
      out += token + newline();
    } else if (token === "}" || token === "]") {
      depth--;
      out += newline() + token;
    } else if (token === ",") out += token + newline();
    else if (token === ":") out += ": ";
    else out += /^[[{]/.test(token) ? token[0] + token.slice(-1) : token;
  }
  return { text: out, cut: false };
}
