/** The faults of the server: which values are valid, and the URL that requests them. */

/**
 * @typedef {import("./data.js").Fault} Fault
 *
 * A Choice is a word, or a range with a prefix, such as late:1ms to late:1h.
 * @typedef {{word: string} | {prefix: string, least: string, most: string}} Choice
 * @typedef {{choices: Choice[], beside: string[], longest?: number}} Rule
 */

/**
 * rule reads the sentence of a Fault's valid values, such as "off, other, 1 to 1000000, or
 * late: and 1ms to 1h, such as late:2s".
 * @param {Fault} fault
 * @returns {Rule}
 */
export function rule(fault) {
  const [values, beside = ""] = fault.valid.split(/,? beside /);
  const names = beside ? beside.split(/, | or /) : [];
  const text = values.match(/^at most (\d+) bytes of UTF-8/);
  if (text) return { choices: [], beside: names, longest: Number(text[1]) };
  const items = values.replace(/^a close code: /, "").replace(/, such as .*/, "").replace(/ to the .*, and at most /, " to ").split(/,? or |, /);
  const choices = items.map((item) => {
    const range = item.match(/^(?:(\w+:) and )?(?:a time from )?(\S+) to (\S+)/);
    return range ? { prefix: range[1] ?? "", least: range[2], most: range[3] } : { word: item };
  });
  return { choices, beside: names };
}

/**
 * words returns the valid values if they are all words.
 * @param {Rule} r
 * @returns {string[] | undefined}
 */
export function words(r) {
  const all = r.choices.flatMap((c) => ("word" in c ? [c.word] : []));
  return all.length > 0 && all.length === r.choices.length ? all : undefined;
}

/**
 * problem returns a sentence if the server would refuse a value, and "" otherwise.
 * @param {Fault} fault
 * @param {string} value
 */
export function problem(fault, value) {
  const r = rule(fault);
  const right = r.longest !== undefined
    ? new TextEncoder().encode(value).length <= r.longest
    : value.length <= 32 && r.choices.some((c) => ("word" in c ? c.word === value : inRange(value, c)));
  return right ? "" : `${fault.name} is wrong; right is ${fault.valid}.`;
}

/**
 * @param {string} value
 * @param {{prefix: string, least: string, most: string}} range
 */
function inRange(value, { prefix, least, most }) {
  if (!value.startsWith(prefix)) return false;
  const [parsed, low, high] = [value.slice(prefix.length), least, most].map(amount);
  return parsed.unit === low.unit && parsed.value >= low.value && parsed.value <= high.value;
}

/** @type {Record<string, number>} nanoseconds */
const times = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
/** @type {Record<string, number>} bytes */
const sizes = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, kB: 1e3, KB: 1e3, MB: 1e6 };

/**
 * amount reads a number, a time of Go or a rate.
 * @param {string} text
 * @returns {{value: number, unit: "" | "time" | "rate"}}
 */
function amount(text) {
  if (/^\d+$/.test(text)) return { value: Number(text), unit: "" };
  const rate = text.match(/^(\d+)([kKMG]?i?B)\/s$/);
  if (rate && rate[2] in sizes) return { value: Number(rate[1]) * sizes[rate[2]], unit: "rate" };
  const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
  if (text && text.replace(part, "") === "") {
    let value = 0;
    for (const [, number, unit] of text.matchAll(part)) value += Number(number) * times[unit];
    return { value, unit: "time" };
  }
  return { value: NaN, unit: "" };
}

/**
 * problems returns a sentence for each fault that has one.
 * @param {Fault[]} faults
 * @param {Map<string, string>} values those that are set
 * @returns {Map<string, string>}
 */
export function problems(faults, values) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const fault of faults) {
    const value = values.get(fault.name);
    if (value === undefined) continue;
    const { beside } = rule(fault);
    const sentence = problem(fault, value);
    if (sentence) found.set(fault.name, sentence);
    else if (beside.length && !beside.some((name) => values.has(name))) found.set(fault.name, `${fault.name} needs ${beside.join(" or ")}.`);
  }
  for (const name of ["drop", "truncate"]) {
    if (values.has("close") && values.has(name)) found.set(name, `close ends the connection with a close frame, so ${name} cannot end it too.`);
  }
  return found;
}

/**
 * withFaults returns a URL with other faults. Its other parameters stay.
 * @param {string} url
 * @param {Fault[]} faults all that the server has
 * @param {Iterable<[string, string]>} values
 */
export function withFaults(url, faults, values) {
  const [rest, fragment] = url.split("#", 2);
  const [path, query = ""] = rest.split(/\?(.*)/s, 2);
  const names = new Set(faults.map((f) => f.name));
  const kept = query.split("&").filter((p) => p && !names.has(p.split("=", 1)[0]));
  for (const [name, value] of values) kept.push(`${name}=${encodeURIComponent(value).replace(/%3A/g, ":").replace(/%2F/g, "/")}`);
  return path + (kept.length ? `?${kept.join("&")}` : "") + (fragment === undefined ? "" : `#${fragment}`);
}
