/** The URL of the server that the page proposes, and what a browser needs for another one. */

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * proposed returns a URL for the browser of this page, or "" if the server has none.
 * localhost means the machine of the server, whose name is then the host of the page.
 * @param {import("./data.js").Data} data
 * @param {Pick<Location, "href" | "hostname">} page
 */
export function proposed({ endpoint, watch }, page) {
  if (!endpoint) return watch ? "" : new URL(".", page.href).href.replace(/^http/, "ws");
  return loopback.test(page.hostname) ? endpoint : endpoint.replace(/^(wss?:\/\/)localhost(?=[:/])/, `$1${page.hostname}`);
}

/**
 * hint returns why a browser would refuse a URL, because browsers do not explain it.
 * @param {string} url
 * @param {string} endpoint of data.json: wsecho allows the page of its admin listener there
 * @param {Pick<Location, "href" | "host" | "hostname" | "origin" | "protocol">} page
 */
export function hint(url, endpoint, page) {
  if (!url) return "Enter a URL, such as ws://localhost:8080/.";
  try {
    const { host, hostname, protocol } = new URL(url, page.href);
    if (protocol === "ws:" && page.protocol === "https:") return "The browser refuses ws:// on a page of https://. Use wss://.";
    const allowed = url === endpoint && (hostname === page.hostname || loopback.test(hostname) && loopback.test(page.hostname));
    if (host === page.host || allowed) return "";
    return `This page has the origin ${page.origin}. The server must allow it, as wsecho does with --origin=${page.host}.`;
  } catch {
    return "This is no URL, such as ws://localhost:8080/.";
  }
}
