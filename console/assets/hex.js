/** Bytes as hexadecimal digits. */

/**
 * parse reads pairs of digits. Blanks, commas, colons and 0x between them are ignored.
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {Error} with a sentence for people
 */
export function parse(text) {
  const digits = text.replace(/0x/gi, "").replace(/[\s,:]/g, "");
  const wrong = digits.match(/[^0-9a-f]/iu);
  if (wrong) throw new Error(`${JSON.stringify(wrong[0])} is no hexadecimal digit; use 0 to 9 and a to f.`);
  if (digits.length % 2) throw new Error(`${digits.length} digits are half a byte too many; use two digits for each byte.`);
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

const digitsOf = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

/**
 * digits returns the first bytes as pairs of digits.
 * @param {Uint8Array} bytes
 * @param {number} [longest]
 */
export function digits(bytes, longest = bytes.length) {
  return Array.from(bytes.subarray(0, longest), (b) => digitsOf[b]).join(" ");
}

/**
 * dump returns lines of 16 bytes with their offset and their ASCII characters.
 * @param {Uint8Array} bytes
 * @param {number} [longest] bytes
 */
export function dump(bytes, longest = bytes.length) {
  const lines = [];
  const end = Math.min(bytes.length, longest);
  for (let at = 0; at < end; at += 16) {
    const part = bytes.subarray(at, Math.min(at + 16, end));
    const ascii = Array.from(part, (b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : ".")).join("");
    const left = digits(part.subarray(0, 8)).padEnd(23);
    const right = digits(part.subarray(8)).padEnd(23);
    lines.push(`${at.toString(16).padStart(8, "0")}  ${left}  ${right}  ${ascii}`);
  }
  return lines.join("\n");
}
