/** The form that writes the URL of a test. */

import { byId, copy, inputById, make, setText } from "./dom.js";
import { problems, rule, withFaults, words } from "./faults.js";

/**
 * @typedef {import("./data.js").Fault} Fault
 * @typedef {import("./data.js").Data} Data
 * @typedef {import("./session.js").Session} Session
 */

/** Titles of the form, each with the first fault below it. */
const groups = { close: "Ending", delay: "Speed and heartbeat", fragment: "Frames", status: "Handshake", hello: "Messages of its own" };

/** @param {Data} data */
export function startFaults({ faults }) {
  const fields = byId("fault-fields");
  /** @type {Map<string, {input: HTMLInputElement | HTMLSelectElement, error: HTMLElement}>} */
  const controls = new Map();
  let list = fields;
  for (const fault of faults) {
    const title = /** @type {Record<string, string>} */ (groups)[fault.name];
    if (title) {
      list = make("fieldset", { class: "group" }, make("legend", {}, title));
      fields.append(list);
    }
    const control = newControl(fault);
    controls.set(fault.name, control);
    list.append(control.element);
  }

  const result = inputById("fault-url");
  const url = inputById("url");
  const update = () => {
    const values = new Map([...controls].flatMap(([name, { input }]) => (input.value === "" ? [] : [/** @type {[string, string]} */ ([name, input.value])])));
    const found = problems(faults, values);
    for (const [name, { input, error }] of controls) {
      const sentence = found.get(name) ?? "";
      setText(error, sentence);
      if (sentence) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    result.value = withFaults(url.value.trim(), faults, values);
    for (const id of ["fault-copy", "fault-use"]) /** @type {HTMLButtonElement} */ (byId(id)).disabled = found.size > 0;
    setText(byId("fault-problem"), [...found.values()][0] ?? "");
  };
  fields.addEventListener("input", update);
  url.addEventListener("input", update);
  byId("fault-copy").addEventListener("click", () => void copy(result.value));
  byId("faults-form").addEventListener("reset", () => setTimeout(update)); // after the fields are empty
  byId("faults-form").addEventListener("submit", (event) => {
    event.preventDefault();
    url.value = result.value;
    url.dispatchEvent(new Event("input"));
    /** @type {HTMLFormElement} */ (byId("connect-form")).requestSubmit();
  });
  update();
}

/** @param {Fault} fault */
function newControl(fault) {
  const id = `fault-${fault.name}`;
  const attributes = { id, name: fault.name, "aria-describedby": `${id}-effect ${id}-error` };
  const all = words(rule(fault));
  const input = all
    ? make("select", attributes, make("option", { value: "" }, "–"), ...all.map((w) => make("option", {}, w)))
    : make("input", { ...attributes, type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false", placeholder: fault.example, title: `right is ${fault.valid}` });
  const error = make("p", { id: `${id}-error`, class: "error" });
  const element = make("div", { class: "fault" }, make("label", { for: id }, fault.name), input,
    make("p", { id: `${id}-effect`, class: "hint" }, fault.effect), error);
  return { element, input, error };
}
