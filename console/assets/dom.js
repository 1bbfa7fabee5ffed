/** Functions for elements of the page. They set text only, never markup. */

/**
 * byId returns the element with an id. The page has it.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return /** @type {T} */ (found);
}

/** @param {string} id */
export const inputById = (id) => /** @type {HTMLInputElement} */ (byId(id));

/**
 * make creates an element with attributes and children. Strings become text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * button creates a button that is not part of a form.
 * @param {string} text
 * @param {() => void} press
 */
export function button(text, press) {
  const element = make("button", { type: "button" }, text);
  element.addEventListener("click", press);
  return element;
}

/**
 * rows fills a list of names and texts. A text of another host stays in its own direction.
 * @param {HTMLElement} list a dl
 * @param {Iterable<[string, string]>} pairs
 */
export function rows(list, pairs) {
  list.replaceChildren(...Array.from(pairs, ([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("bdi", {}, text)))));
}

/**
 * setText changes a text only if it differs, so that nothing is laid out again.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * announce lets a screen reader speak a sentence.
 * @param {string} sentence
 */
export function announce(sentence) {
  byId("announce").textContent = sentence;
}

/**
 * eachFrame returns a function that calls draw once before the next frame, however often
 * it is called.
 * @param {() => void} draw
 */
export function eachFrame(draw) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      draw();
    });
  };
}

/**
 * copy puts a text on the clipboard and announces the result. Browsers offer
 * navigator.clipboard on secure origins only.
 * @param {string} text
 */
export async function copy(text) {
  let copied = false;
  try {
    await navigator.clipboard.writeText(text);
    copied = true;
  } catch {
    const area = make("textarea", { class: "sr", "aria-hidden": "true" });
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    area.value = text;
    document.body.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
    focused?.focus();
  }
  announce(copied ? "Copied." : "The browser refused to copy.");
  return copied;
}

/** Whether the user asked for less motion. */
export const reducesMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
