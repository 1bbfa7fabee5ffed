/** One message in full: as text, as indented JSON, and as bytes. */

import { button, byId, copy, make } from "./dom.js";
import { clock, duration, indent, isJSON, size } from "./format.js";
import { digits, dump } from "./hex.js";
import { bytesOf } from "./store.js";

/**
 * @typedef {import("./store.js").Message} Message
 * @typedef {"Text" | "JSON" | "Hex"} Form
 */

const folded = 4 << 10; // characters, or bytes of a dump, that are shown at first
const step = 64 << 10; // that are added on request
const largestJSON = 1 << 20; // bytes

/**
 * showDetail shows a message, or nothing.
 * @param {Message | undefined} m
 */
export function showDetail(m) {
  const panel = byId("detail");
  panel.hidden = !m;
  panel.replaceChildren();
  if (!m) return;
  const text = m.text ?? new TextDecoder().decode(m.bytes);
  const parses = m.size <= largestJSON && isJSON(text);
  const facts = [`#${m.id}`, m.out ? "sent" : "received", clock(m.time), m.bytes ? "binary" : "text", size(m.size)];
  if (m.rtt !== undefined) facts.push(`RTT ${duration(m.rtt)}`);

  /** @type {Form} */
  let form = m.bytes ? "Hex" : parses ? "JSON" : "Text";
  let longest = folded;
  const content = make("pre", { tabindex: "0", role: "region", "aria-label": "Content of the message", dir: "auto" });
  const more = button("Show more", () => {
    longest += step;
    draw();
  });
  /** @type {Form[]} */
  const forms = parses ? ["Text", "JSON", "Hex"] : ["Text", "Hex"];
  const choices = forms.map((name) => button(name, () => {
    form = name;
    longest = folded;
    draw();
  }));
  const draw = () => {
    const { shown, cut } = render(m, text, form, longest);
    content.textContent = shown;
    content.classList.toggle("hex", form === "Hex");
    more.hidden = !cut;
    choices.forEach((c) => c.setAttribute("aria-pressed", String(c.textContent === form)));
  };
  draw();
  panel.append(
    make("p", { class: "facts" }, facts.join(" · ")),
    make("div", { class: "row" }, make("div", { class: "choice", role: "group", "aria-label": "Form" }, ...choices),
      button("Copy", () => void copy(m.bytes ? digits(m.bytes) : text)), button("Hide", () => {
        showDetail(undefined);
        byId("messages").focus();
      })),
    content, more);
}

/**
 * @param {Message} m
 * @param {string} text
 * @param {Form} form
 * @param {number} longest
 */
function render(m, text, form, longest) {
  if (form === "Hex") {
    const bytes = bytesOf(m);
    return { shown: dump(bytes, longest), cut: bytes.length > longest };
  }
  if (form === "JSON") {
    const { text: shown, cut } = indent(text, longest);
    return { shown: shown.slice(0, longest), cut: cut || shown.length > longest }; // a value may be longer
  }
  return { shown: text.slice(0, longest), cut: text.length > longest };
}
