/** The dialog that closes one connection. It names the connection, because rows move. */

import { announce, make } from "./dom.js";

/** @typedef {import("./watchformat.js").Connection} Connection */

/**
 * makeCloseDialog returns the dialog and a function that opens it.
 * @param {URL} connections the path /connections
 * @param {() => void} onClosed
 */
export function makeCloseDialog(connections, onClosed) {
  const title = make("h3", { id: "watch-close-title" });
  const peer = make("p", { class: "hint" });
  const code = make("input", { name: "code", type: "number", min: "1000", max: "4999", required: "" });
  const reason = make("input", { name: "reason", type: "text", maxlength: "123", autocomplete: "off" });
  const problem = make("p", { role: "alert", class: "error" });
  const submit = make("button", { class: "danger" }, "Close connection");
  const cancel = make("button", { type: "button" }, "Cancel");
  const form = make("form", {}, title, peer,
    make("div", { class: "row" }, make("label", { class: "short" }, "Code ", code), make("label", { class: "grow" }, "Reason ", reason)),
    problem, make("div", { class: "row end" }, submit, cancel));
  const dialog = make("dialog", { "aria-labelledby": "watch-close-title", class: "watch-dialog" }, form);
  let id = 0;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const closing = id;
    problem.textContent = "";
    submit.disabled = true;
    submit.textContent = "Closing…";
    const sentence = await close(new URL(`connections/${closing}/close`, connections), code.valueAsNumber, reason.value);
    if (sentence === "") {
      announce(`Connection ${closing} is closed.`);
      onClosed();
    }
    if (closing !== id) return; // the dialog is about another connection
    if (sentence !== "" && dialog.open) problem.textContent = sentence;
    else dialog.close();
    ready();
  });
  cancel.addEventListener("click", () => dialog.close());

  function ready() {
    submit.disabled = false;
    submit.textContent = "Close connection";
  }

  /** @param {Connection} c */
  function open(c) {
    id = c.id;
    title.textContent = `Close connection ${c.id}`;
    peer.textContent = `${c.remote} ${c.uri}`;
    code.value = "1001";
    reason.value = "closed by an operator";
    problem.textContent = "";
    ready();
    dialog.showModal();
  }
  return { dialog, open };
}

/**
 * close asks the server to close a connection. It returns a sentence about what went wrong, or "".
 * @param {URL} url
 * @param {number} code
 * @param {string} reason
 * @param {typeof fetch} [ask]
 * @returns {Promise<string>}
 */
export async function close(url, code, reason, ask = fetch) {
  try {
    const answer = await ask(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code, reason }),
    });
    return answer.ok ? "" : (await answer.text()).trim() || `The server answered ${answer.status}.`;
  } catch (error) {
    return `The server did not answer: ${error instanceof Error ? error.message : error}`;
  }
}
