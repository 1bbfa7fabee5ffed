import assert from "node:assert/strict";
import test from "node:test";

import { problem, problems, rule, withFaults, words } from "../assets/faults.js";

const fault = (name, valid) => ({ name, valid, example: "", effect: "" });
const close = fault("close", "a close code: 1000 to 1003, 1007 to 1014, or 3000 to 4999");
const reason = fault("reason", "at most 123 bytes of UTF-8, beside close");
const drop = fault("drop", "fin or rst");
const after = fault("after", "1 to 1000000 messages, or a time from 1ms to 1h, beside close, drop or garbage");
const pong = fault("pong", "off, other, 1 to 1000000, or late: and 1ms to 1h, such as late:2s");
const hold = fault("hold", "1ms to the handshake timeout of the server less a tenth, and at most 1m");
const write = fault("write", "slow: and 1B/s to 1GiB/s");

test("right and wrong values", () => {
  for (const [f, right, wrong] of [
    [close, ["1000", "1014", "4999"], ["", "999", "1004", "1015", "2000", "5000", "1e3", "x"]],
    [reason, ["", "bye", "é".repeat(61)], ["é".repeat(62)]],
    [drop, ["fin", "rst"], ["FIN", "fin or rst", "1"]],
    [after, ["1", "1000000", "5s", "1h", "1m30s", "1.5s"], ["0", "1000001", "2h", "-1s", "1 s"]],
    [pong, ["off", "other", "3", "late:2s"], ["late", "late:", "late:2", "2s", "late:2h"]],
    [hold, ["1ms", "1m"], ["61s", "0s"]],
    [write, ["slow:1B/s", "slow:1KiB/s", "slow:1GiB/s", "slow:5MB/s"], ["1KiB/s", "slow:0B/s", "slow:2GiB/s", "slow:1KiB", "slow:1TiB/s"]],
  ]) {
    for (const value of right) assert.equal(problem(f, value), "", `${f.name}=${value}`);
    for (const value of wrong) assert.match(problem(f, value), new RegExp(`^${f.name} is wrong; right is `), `${f.name}=${value}`);
  }
});

test("a fault with words only becomes a list", () => {
  assert.deepEqual(words(rule(drop)), ["fin", "rst"]);
  assert.equal(words(rule(pong)), undefined);
  assert.equal(words(rule(reason)), undefined);
});

test("faults that do not fit together", () => {
  const all = [close, reason, drop, after];
  assert.equal(problems(all, new Map([["close", "4000"], ["reason", "x"], ["after", "3"]])).size, 0);
  assert.deepEqual([...problems(all, new Map([["reason", "x"]]))], [["reason", "reason needs close."]]);
  assert.deepEqual([...problems(all, new Map([["after", "1"]]))], [["after", "after needs close or drop or garbage."]]);
  assert.match(problems(all, new Map([["close", "4000"], ["drop", "fin"]])).get("drop"), /drop cannot end it too/);
});

test("the URL of a test", () => {
  const all = [close, reason, drop, write];
  assert.equal(withFaults("ws://a/", all, [["drop", "rst"]]), "ws://a/?drop=rst");
  assert.equal(withFaults("ws://a/p?x=1&drop=fin&y#f", all, [["close", "4000"], ["reason", "a b&é"]]), "ws://a/p?x=1&y&close=4000&reason=a%20b%26%C3%A9#f");
  assert.equal(withFaults("ws://a/?drop=fin", all, []), "ws://a/");
  assert.equal(withFaults("ws://a/", all, [["write", "slow:1KiB/s"]]), "ws://a/?write=slow:1KiB/s");
});
