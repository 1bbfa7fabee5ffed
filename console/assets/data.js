/**
 * data.json, which the server creates.
 *
 * @typedef {{from?: number, to?: number, kind?: string, by?: string, name?: string,
 *   meaning: string, sender: string, causes: string, check: string}} Text
 * @typedef {{name: string, example: string, valid: string, effect: string}} Fault
 * @typedef {{endpoint: string, watch: boolean, faults: Fault[], codes: Text[], ranges: Text[], kinds: Text[]}} Data
 */

/** @returns {Promise<Data>} */
export async function load() {
  const answer = await fetch(new URL("data.json", import.meta.url));
  if (!answer.ok) throw new Error(`data.json: ${answer.status}`);
  return answer.json();
}
