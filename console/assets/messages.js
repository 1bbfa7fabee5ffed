/** The list of messages. It has elements only for the rows that can be seen. */

import { announce, byId, copy, eachFrame, inputById, make, setText } from "./dom.js";
import { showDetail } from "./detail.js";
import { clock, count, duration, line, size } from "./format.js";
import { digits } from "./hex.js";
import { jsonLines } from "./store.js";
import { View } from "./view.js";

/**
 * @typedef {import("./store.js").Message} Message
 * @typedef {import("./session.js").Session} Session
 */

const height = 30; // of a row in px, as in app.css

/**
 * startMessages returns a function to call for each new message.
 * @param {Session} session
 */
export function startMessages(session) {
  const list = byId("messages");
  const inner = make("div", { role: "presentation", class: "rows" });
  list.append(inner);
  const view = new View();
  /** @type {ReturnType<typeof newRow>[]} */
  const pool = [];
  let follows = true; // the newest message
  let top = { id: 0, offset: 0 }; // the first row that can be seen
  let selected = 0; // an id

  const draw = () => {
    view.update(session.store.messages);
    const { items } = view;
    inner.style.height = `${items.length * height}px`;
    list.scrollTop = follows ? items.length * height : view.indexOf(top.id) * height + top.offset;
    const at = list.scrollTop;
    const first = Math.floor(at / height);
    top = { id: items[first]?.id ?? 0, offset: at - first * height };
    const shown = Math.min(items.length - first, Math.ceil(list.clientHeight / height) + 1);
    while (pool.length < shown) {
      pool.push(newRow());
      inner.append(pool[pool.length - 1].element);
    }
    pool.forEach((row, i) => {
      row.element.hidden = i >= shown;
      if (i < shown) fill(row, items[first + i], first + i, items.length, selected);
    });
    const visible = pool.some((row) => !row.element.hidden && row.id === selected);
    if (visible) list.setAttribute("aria-activedescendant", `m${selected}`);
    else list.removeAttribute("aria-activedescendant");
    setText(byId("count"), summary(session, view));
  };
  const redraw = eachFrame(draw);

  list.addEventListener("scroll", () => {
    const at = list.scrollTop;
    follows = at + list.clientHeight >= view.items.length * height - 2;
    const first = Math.floor(at / height);
    top = { id: view.items[first]?.id ?? 0, offset: at - first * height };
    redraw();
  }, { passive: true });
  new ResizeObserver(redraw).observe(list);

  /** @param {number} index */
  const select = (index) => {
    const m = view.items[Math.max(0, Math.min(index, view.items.length - 1))];
    if (!m) return;
    selected = m.id;
    index = view.indexOf(m.id);
    const end = (index + 1) * height - list.clientHeight;
    if (list.scrollTop > index * height) list.scrollTop = index * height;
    else if (list.scrollTop < end) list.scrollTop = end;
    follows = list.scrollTop + list.clientHeight >= view.items.length * height - 2;
    const first = Math.floor(list.scrollTop / height);
    top = { id: view.items[first]?.id ?? 0, offset: list.scrollTop - first * height };
    showDetail(m);
    draw();
  };
  list.addEventListener("click", (event) => {
    const row = /** @type {HTMLElement} */ (event.target).closest("[role=option]");
    const found = pool.find((r) => r.element === row);
    if (found) select(view.indexOf(found.id));
  });
  list.addEventListener("keydown", (event) => {
    const m = view.items[view.indexOf(selected)];
    if (event.key === "c" && (event.ctrlKey || event.metaKey) && m?.id === selected) void copy(m.bytes ? digits(m.bytes) : m.text ?? "");
    const page = Math.floor(list.clientHeight / height);
    const now = selected ? view.indexOf(selected) : view.items.length;
    const to = {
      ArrowDown: now + 1, ArrowUp: now - 1, PageDown: now + page, PageUp: now - page,
      Home: 0, End: view.items.length - 1,
    }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    select(to);
  });

  startToolbar(session, view, redraw);
  draw();
  return redraw;
}

/**
 * @param {Session} session
 * @param {View} view
 * @param {() => void} redraw
 */
function startToolbar(session, view, redraw) {
  const filter = inputById("filter");
  const direction = inputById("direction");
  const apply = () => {
    view.filter(direction.value, filter.value);
    redraw();
  };
  apply(); // as the browser has restored them
  filter.addEventListener("input", apply);
  direction.addEventListener("change", apply);
  const pause = byId("pause");
  pause.addEventListener("click", () => {
    view.pause(!view.paused);
    pause.setAttribute("aria-pressed", String(view.paused));
    redraw();
  });
  byId("clear").addEventListener("click", () => {
    session.store.clear();
    view.clear();
    showDetail(undefined);
    announce("The messages are cleared.");
    redraw();
  });
  byId("download").addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([jsonLines(view.items)], { type: "application/jsonl" }));
    make("a", { href: url, download: `wsecho-${new Date().toISOString().replace(/[:.]/g, "-")}.jsonl` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  });
}

/**
 * @param {Session} session
 * @param {View} view
 */
function summary(session, view) {
  const { added, messages, most, mostBytes } = session.store;
  if (!added) return "no messages";
  const kept = added > messages.length && messages.length ? `, of ${count(added)}; at most ${count(most)} and ${size(mostBytes)} are kept` : "";
  return `${count(view.items.length)} shown${kept}${view.paused ? "; paused" : ""}`;
}

function newRow() {
  const part = (/** @type {string} */ name) => make("span", { class: name });
  const parts = { time: part("time"), way: part("way"), type: part("type"), size: part("size"), rtt: part("rtt"), text: make("bdi", { class: "text" }) };
  const element = make("div", { role: "option", class: "message" }, ...Object.values(parts));
  return { element, parts, id: 0 };
}

/**
 * @param {ReturnType<typeof newRow>} row
 * @param {Message} m
 * @param {number} index
 * @param {number} of
 * @param {number} selected
 */
function fill(row, m, index, of, selected) {
  const { element, parts } = row;
  element.style.transform = `translateY(${index * height}px)`;
  element.setAttribute("aria-posinset", String(index + 1));
  element.setAttribute("aria-setsize", String(of));
  element.setAttribute("aria-selected", String(m.id === selected));
  if (row.id === m.id) return;
  row.id = m.id;
  element.id = `m${m.id}`;
  element.classList.toggle("out", m.out);
  parts.time.textContent = clock(m.time);
  parts.way.textContent = m.out ? "sent" : "received";
  parts.type.textContent = m.bytes ? "binary" : "text";
  parts.size.textContent = size(m.size);
  parts.rtt.textContent = m.rtt === undefined ? "" : duration(m.rtt);
  parts.text.textContent = m.bytes ? digits(m.bytes, 48) : line(m.text ?? "");
}
