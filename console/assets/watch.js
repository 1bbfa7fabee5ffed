/** The section Watch: the open connections of the server. */

/**
 * startWatch fills the section. It is called on the page of an admin listener only.
 * @param {HTMLElement} body
 * @param {import("./data.js").Data} data
 */
export function startWatch(body, data) {
  void body, data;
}
