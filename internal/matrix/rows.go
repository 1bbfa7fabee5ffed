package main

import "time"

// A row is a fault, and what wsecho probe must report of it.
type row struct {
	fault string // the query of the URL, or its path; "" is none
	flags string // of wsecho probe; by default --interval=100ms, and long timeouts
	long  bool   // it waits for the idle timeout of a proxy

	want        outcome            // of wsecho, and of the others
	except      map[column]outcome // where another column differs
	race        map[column]outcome // the other result of a race: a proxy that closes with unread input sends RST
	unsupported map[column]string  // why a library has no such fault
}

// proxied is the same result of both proxies.
func proxied(o outcome) map[column]outcome { return map[column]outcome{nginx: o, haproxy: o} }

var (
	noRate = map[column]string{node: "ws can pause a connection, and has no rate for it", python: "websockets has no rate for a connection"}
	noMask = map[column]string{python: "a server of websockets has no flag to mask its frames"}
)

// rows are those of the matrix. Each parameter of docs/faults.md has one.
var rows = []row{
	{flags: "--count=3", want: good},
	{flags: "--count=2 --interval=5s", long: true, want: good, except: proxied(abnormal)},

	{fault: "close=1000", want: normal},
	{fault: "close=1000&after=2", flags: "--echo=only", want: normal},
	{fault: "close=1001&reason=bye&after=300ms", want: away.saying("bye")},
	{fault: "close=1002", want: closes(1002)},
	{fault: "close=1003", want: closes(1003)},
	{fault: "close=1008&reason=no", want: closes(1008).saying("no")},
	{fault: "close=1011&after=2", flags: "--echo=beside", want: closes(1011)},
	{fault: "close=1014", want: closes(1014)},
	{fault: "close=3000", want: closes(3000)},
	{fault: "close=4001&reason=bye&after=200ms", want: closes(4001).saying("bye")},
	{fault: "/close/4001?after=300ms", want: closes(4001)},

	{fault: "drop=fin", want: abnormal, race: proxied(reset)},
	{fault: "drop=fin&after=300ms", flags: "--interval=1s", want: abnormal},
	{fault: "drop=rst", want: reset, except: proxied(abnormal), race: proxied(reset)},
	{fault: "drop=rst&after=2", flags: "--echo=only --interval=1s", want: reset, except: proxied(abnormal)},
	{fault: "truncate=1", want: inside, race: proxied(reset)},
	{fault: "truncate=1&after=2", flags: "--echo=only --interval=1s", want: inside},
	{fault: "garbage=1", want: opcode},
	{fault: "garbage=1&after=300ms", want: opcode},
	{fault: "utf8=bad", want: badText},
	{fault: "utf8=bad&after=1", flags: "--echo=only", want: badText},

	{fault: "delay=300ms", flags: "--echo=only --count=3", want: good.delayedBy(300 * time.Millisecond)},
	{fault: "delay=700ms", flags: "--echo=only --count=2 --interval=1s --timeout=300ms", want: good.lateBy(2).delayedBy(700 * time.Millisecond)},
	{fault: "/delay/200ms", flags: "--echo=beside --count=2", want: good.delayedBy(200 * time.Millisecond)},
	{fault: "jitter=190ms", flags: "--echo=only --count=12 --interval=200ms", want: good.jitteredBy(25 * time.Millisecond)},
	{fault: "delay=100ms&jitter=50ms", flags: "--echo=beside --count=8 --interval=200ms", want: good.delayedBy(50 * time.Millisecond).jitteredBy(10 * time.Millisecond)},
	{fault: "pong=off", flags: "--count=2 --timeout=500ms", want: good.losing(2)},
	{fault: "pong=off", flags: "--max-missed=0 --timeout=500ms --interval=500ms", want: noPong.losing(1)},
	{fault: "pong=off&send=1000&every=50ms", flags: "--count=10 --max-missed=0 --timeout=500ms", want: good.losing(10).sending(-1)},
	{fault: "pong=2", flags: "--count=4 --timeout=1s", want: good.losing(2)},
	{fault: "pong=other", flags: "--count=2 --timeout=500ms", want: good.losing(2)},
	{fault: "pong=late:700ms", flags: "--count=3 --interval=600ms --timeout=200ms", want: good.lateBy(3)},
	{fault: "read=stall", flags: "--count=2 --timeout=500ms", want: good.losing(2).unanswered()},
	{fault: "read=stall", flags: "--max-missed=0 --timeout=500ms --interval=500ms", want: noPong.losing(1)},
	{fault: "read=slow:100B/s", flags: "--echo=beside --count=3", want: good.delayedBy(300 * time.Millisecond), unsupported: noRate},
	{fault: "write=slow:100B/s", flags: "--echo=beside --count=3", want: good.delayedBy(300 * time.Millisecond), unsupported: noRate},
	{fault: "fragment=1", flags: "--echo=only --count=3", want: good.fragmented(1)},
	{fault: "mask=1", want: masked, unsupported: noMask},
	{fault: "mask=1", flags: "--echo=only", want: masked, unsupported: noMask},

	{fault: "status=503", want: refused("the answer is 503 Service Unavailable")},
	{fault: "status=403", want: refused("the answer is 403 Forbidden")},
	{fault: "status=301", want: refused("the answer is 301 Moved Permanently")},
	{fault: "/status/404", want: refused("the answer is 404 Not Found")},
	{fault: "hold=500ms", flags: "--count=1", want: good.heldFor(500 * time.Millisecond)},
	{fault: "hold=2s", flags: "--timeout=500ms", want: refused("no whole answer within the 500ms")},
	{fault: "hold=4s", flags: "--count=1", long: true, want: good.heldFor(4 * time.Second), except: proxied(refused("the answer is 504"))},
	{fault: "accept=wrong", want: refused("Sec-WebSocket-Accept does not match the key")},

	{fault: "hello=1", flags: "--count=2", want: good.sending(1)},
	{fault: "hello=all", flags: "--count=2", want: good.sending(1)},
	{fault: "ping=50ms", flags: "--count=5", want: good.pinging()},
	{fault: "send=3&every=50ms", flags: "--count=6", want: good.sending(3)},
	{fault: "send=1", flags: "--count=4 --interval=500ms", want: good.sending(1)},

	{fault: "pong=off&close=1001&after=1800ms", flags: "--interval=1s --timeout=300ms", want: away.losing(2).exiting(8)},
	{fault: "pong=late:500ms&drop=rst&after=1800ms", flags: "--interval=1s --timeout=200ms", want: reset.lateBy(2), except: proxied(abnormal.lateBy(2))},
	{fault: "garbage=1&close=4000", want: opcode},
	{fault: "utf8=bad&drop=fin&after=300ms", want: badText},
	{fault: "delay=100ms&fragment=2&ping=50ms", flags: "--echo=beside --count=3", want: good.delayedBy(100 * time.Millisecond).fragmented(2).pinging()},
	{fault: "hold=200ms&status=403", want: refused("the answer is 403 Forbidden")},
	{fault: "hello=1&read=stall&close=1011&after=300ms", want: closes(1011).sending(1)},
}

// expected returns what wsecho probe must report in a column. race is the other result of a
// race, or want.
func (r row) expected(c column) (want, race outcome) {
	want, ok := r.except[c]
	if !ok {
		want = r.want
	}
	if race, ok = r.race[c]; !ok {
		race = want
	}
	return want, race
}
