import assert from "node:assert/strict";
import test from "node:test";

import { Session } from "../assets/session.js";

/** A socket that a test controls. */
class FakeSocket {
  protocol = "";
  extensions = "";
  bufferedAmount = 0;
  sent = [];
  closed;
  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
  }
  send(data) {
    this.sent.push(data);
  }
  close(code, reason) {
    this.closed = { code, reason };
  }
  opens() {
    this.onopen();
  }
  ends(code, reason = "", wasClean = code !== 1006) {
    this.onclose({ code, reason, wasClean });
  }
}

function start(t) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sockets = [];
  let now = 0;
  const session = new Session({ message() {}, state() {} }, (url, protocols) => {
    sockets.push(new FakeSocket(url, protocols));
    return sockets.at(-1);
  }, () => now);
  return { session, sockets, later: (ms) => (now += ms), states: () => session.steps.map((s) => s.state).join(" ") };
}

test("a connection that is closed here", (t) => {
  const { session, sockets, states } = start(t);
  session.connect("ws://a/", ["chat"]);
  sockets[0].opens();
  assert.equal(session.state, "open");
  session.connection.close(4000, "bye");
  assert.deepEqual(sockets[0].closed, { code: 4000, reason: "bye" });
  sockets[0].ends(4000, "bye");
  assert.deepEqual(session.ending, { code: 4000, reason: "bye", clean: true, opened: true, local: true, again: false });
  assert.equal(states(), "connecting open closing ended");
  assert.equal(session.state, "ended");
});

test("an echo is counted and timed", (t) => {
  const { session, sockets, later } = start(t);
  assert.equal(session.send("early"), false);
  session.connect("ws://a/", []);
  sockets[0].opens();
  assert.ok(session.send("hé"));
  later(5);
  sockets[0].onmessage({ data: "hé" });
  sockets[0].onmessage({ data: new ArrayBuffer(7) });
  assert.deepEqual(session.totals, { in: 2, out: 1, inBytes: 10, outBytes: 3 });
  assert.deepEqual(session.store.messages.map((m) => m.rtt), [undefined, 5, undefined]);
});

test("another URL begins new figures of round-trip times", (t) => {
  const { session, sockets, later } = start(t);
  const echo = (ms) => {
    sockets.at(-1).opens();
    session.send("x");
    later(ms);
    sockets.at(-1).onmessage({ data: "x" });
    return session.series.rtt;
  };
  session.connect("ws://a/", []);
  assert.equal(echo(1).median, 1);
  session.connect("ws://a/", []);
  assert.equal(echo(9).high, 9);
  assert.equal(session.series.rtt.last, 9);
  session.connect("ws://b/", []);
  assert.deepEqual(session.series.rtt, { last: undefined, median: undefined, high: undefined });
  assert.deepEqual(echo(5), { last: 5, median: 5, high: 5 });
  assert.equal(session.totals.in, 3);
});

test("it reconnects after growing waits until it is stopped", (t) => {
  t.mock.method(Math, "random", () => 1);
  const { session, sockets, states } = start(t);
  session.connection.reconnect = true;
  session.connect("ws://a/", []);
  sockets[0].opens();
  sockets[0].onmessage({ data: "x" });
  sockets[0].ends(1001);
  assert.equal(session.state, "waiting");
  t.mock.timers.tick(499);
  assert.equal(sockets.length, 1);
  t.mock.timers.tick(1);
  assert.equal(sockets.length, 2);
  sockets[1].ends(1006);
  assert.equal(session.ending.code, 1001); // not that of the attempt
  t.mock.timers.tick(999);
  assert.equal(sockets.length, 2);
  t.mock.timers.tick(1);
  assert.equal(sockets.length, 3);
  sockets[2].opens();
  t.mock.timers.tick(5000); // a success: the waits begin again
  sockets[2].ends(1006);
  t.mock.timers.tick(500);
  assert.equal(sockets.length, 4);
  sockets[3].ends(1006);
  session.connection.close(1000, "");
  t.mock.timers.tick(60_000);
  assert.equal(sockets.length, 4);
  assert.ok(states().startsWith("connecting open ended waiting connecting ended waiting connecting open"));
});

test("the waits also grow if the server sends a message and ends each connection", (t) => {
  t.mock.method(Math, "random", () => 1);
  const { session, sockets } = start(t);
  session.connection.reconnect = true;
  session.connect("ws://a/", []);
  for (let i = 0; i < 8; i++) {
    sockets[i].opens();
    sockets[i].onmessage({ data: "busy" });
    sockets[i].ends(1013);
    t.mock.timers.tick(Math.min(30_000, 500 * 2 ** i) - 1);
    assert.equal(sockets.length, i + 1);
    t.mock.timers.tick(1);
  }
  assert.equal(sockets.length, 9);
});

test("a connection that is closed here does not reconnect", (t) => {
  const { session, sockets } = start(t);
  session.connection.reconnect = true;
  session.connect("ws://a/", []);
  sockets[0].opens();
  session.connection.close(1000, "");
  sockets[0].ends(1000);
  t.mock.timers.tick(60_000);
  assert.equal(sockets.length, 1);
});

test("another URL for one attempt", (t) => {
  const { session, sockets } = start(t);
  session.connection.reconnect = true;
  session.connect("ws://a/", [], "ws://a/?drop=rst");
  sockets[0].opens();
  sockets[0].ends(1006);
  t.mock.timers.tick(30_000);
  assert.deepEqual(sockets.map((s) => s.url), ["ws://a/?drop=rst", "ws://a/"]);
});

test("a second connect replaces the first socket", (t) => {
  const { session, sockets } = start(t);
  session.connect("ws://a/", []);
  sockets[0].opens();
  session.connect("ws://b/", []);
  assert.ok(sockets[0].closed);
  assert.equal(sockets[0].onmessage, null);
  sockets[1].opens();
  assert.equal(session.state, "open");
});

test("a refused handshake never opened", (t) => {
  const { session, sockets } = start(t);
  session.connect("ws://a/", []);
  sockets[0].ends(1006);
  assert.equal(session.ending.opened, false);
});

test("the number of states is bounded", (t) => {
  const { session, sockets } = start(t);
  for (let i = 0; i < 200; i++) {
    session.connect("ws://a/", []);
    sockets[i].ends(1006);
  }
  assert.equal(session.steps.length, 100);
  assert.equal(session.entered, 400);
});
