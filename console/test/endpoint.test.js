import assert from "node:assert/strict";
import test from "node:test";

import { hint, proposed } from "../assets/endpoint.js";

test("the proposed URL is that of the server, also in the browser of another machine", () => {
  for (const [page, endpoint, watch, want] of [
    ["http://localhost:8080/", "", false, "ws://localhost:8080/"],
    ["https://echo.example/sub/#see", "", false, "wss://echo.example/sub/"],
    ["http://127.0.0.1:9090/", "ws://localhost:8080/", true, "ws://localhost:8080/"],
    ["http://[::1]:9090/", "ws://localhost:8080/", true, "ws://localhost:8080/"],
    ["http://10.0.0.5:9090/", "ws://localhost:8080/", true, "ws://10.0.0.5:8080/"],
    ["http://[fd00::5]:9090/", "wss://localhost/", true, "wss://[fd00::5]/"],
    ["http://127.example:9090/", "ws://localhost:8080/", true, "ws://127.example:8080/"],
    ["http://10.0.0.5:9090/", "ws://10.0.0.5:8080/", true, "ws://10.0.0.5:8080/"],
    ["http://10.0.0.5:9090/", "ws://127.0.0.1:8080/", true, "ws://127.0.0.1:8080/"], // not reachable from there
    ["http://10.0.0.5:9090/", "ws://[fe80::1%25eth0]:8080/", true, "ws://[fe80::1%25eth0]:8080/"], // no URL for a browser
    ["http://10.0.0.5:9090/", "ws://localhost.example:8080/", true, "ws://localhost.example:8080/"],
    ["http://127.0.0.1:9090/", "", true, ""], // unix sockets only
  ]) {
    assert.equal(proposed({ endpoint, watch }, new URL(page)), want, page);
  }
});

test("a hint names what the server must allow", () => {
  const local = "ws://localhost:8080/";
  for (const [page, url, endpoint, want] of [
    ["http://localhost:8080/", "ws://localhost:8080/?close=4000", "", ""],
    ["http://localhost:8080/", "ws://127.0.0.1:8080/", "", "--origin=localhost:8080"],
    ["http://127.0.0.1:9090/", local, local, ""],
    ["http://127.0.0.1:9090/", "ws://localhost:8081/", local, "--origin=127.0.0.1:9090"],
    ["http://10.0.0.5:9090/", "ws://10.0.0.5:8080/", "ws://10.0.0.5:8080/", ""],
    ["http://10.0.0.5:9090/", "ws://10.0.0.5:8080/", local, "--origin=10.0.0.5:9090"], // the server does not know this address
    ["http://a.example:9090/", "ws://10.0.0.5:8080/", "ws://10.0.0.5:8080/", "--origin=a.example:9090"],
    ["https://localhost:8443/", "ws://localhost:8080/", "", "Use wss://"],
    ["http://127.0.0.1:9090/", "", "", "Enter a URL"],
    ["http://127.0.0.1:9090/", "ws://[", local, "This is no URL"],
  ]) {
    const got = hint(url, endpoint, new URL(page));
    assert.ok(want ? got.includes(want) : got === "", `${page} to ${url}: ${got}`);
  }
});
