// Load for a WebSocket echo server, with k6 1.0 or later:
//
//     k6 run -e URL=ws://localhost:8080/ -e VUS=100 script.js
//
// Each virtual user connects, sends messages one at a time, compares every byte of each
// echo, sends a ping, closes the connection, and begins again. Its code 0 means that all
// checks passed, and 99 that a threshold failed.
//
// Variables, with their defaults:
//
//     URL       ws://localhost:8080/   of the server
//     VUS       10      connections at once
//     RAMP      10s     time to reach them, and time to end them
//     HOLD      30s     time between the two
//     MESSAGES  20      messages of each connection
//     SIZE      4096    longest message in bytes
//     PAUSE     100     milliseconds between two messages
//     TIMEOUT   10000   longest time for a handshake, an echo, a pong or a close frame, in milliseconds
//     P99       1000    threshold of the 99th percentile of the echo time, in milliseconds
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';
import { setTimeout, clearTimeout } from 'k6/timers';
import { WebSocket } from 'k6/websockets';

const url = __ENV.URL || 'ws://localhost:8080/';
const messages = number('MESSAGES', 20);
const longest = number('SIZE', 4096);
const pause = number('PAUSE', 100);
const timeout = number('TIMEOUT', 10000);

export const options = {
  scenarios: {
    echo: {
      executor: 'ramping-vus',
      startVUs: 0,
      stages: [
        { duration: __ENV.RAMP || '10s', target: number('VUS', 10) },
        { duration: __ENV.HOLD || '30s', target: number('VUS', 10) },
        { duration: __ENV.RAMP || '10s', target: 0 },
      ],
      gracefulRampDown: '60s',
      gracefulStop: '60s',
    },
  },
  thresholds: {
    checks: ['rate==1'],
    echoes: ['count>0'], // without an echo nothing was tested
    echo_time: [`p(99)<${number('P99', 1000)}`],
  },
};

const echoes = new Counter('echoes');
const echoTime = new Trend('echo_time', true);
// Connections that the server closed with 1001, as in a rolling restart, and messages that
// crossed such a close frame.
const goingAway = new Counter('going_away');
const crossed = new Counter('crossed');

function number(name, otherwise) {
  const value = Number(__ENV[name] || otherwise);
  if (!(value >= 0)) {
    throw new Error(`${name}=${__ENV[name]} is not a number that is 0 or more`);
  }
  return value;
}

// newMessage returns a text for even numbers, and an ArrayBuffer for odd ones.
function newMessage(n) {
  const size = Math.floor(Math.random() * (longest + 1));
  if (n % 2 == 0) {
    const head = `message ${n} of user ${__VU} ü€ `;
    return head.slice(0, Math.min(size, head.length)) + 'x'.repeat(Math.max(0, size - head.length - 3));
  }
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    bytes[i] = (i * 31 + n * 7 + __VU + __ITER) & 255;
  }
  return bytes.buffer;
}

// same compares the type and every byte.
function same(a, b) {
  if (typeof a == 'string' || typeof b == 'string') {
    return a === b;
  }
  const x = new Uint8Array(a);
  const y = new Uint8Array(b);
  if (x.length != y.length) {
    return false;
  }
  for (let i = 0; i < x.length; i++) {
    if (x[i] != y[i]) {
      return false;
    }
  }
  return true;
}

export default function () {
  const ws = new WebSocket(url);
  ws.binaryType = 'arraybuffer';
  let sent = 0; // messages
  let waiting = null; // the message whose echo has not arrived
  let sentAt = 0;
  let opened = false;
  let ponged = false;
  let leaving = false;
  let next = null; // the timer of the next message
  let late = null; // the timer of what the server owes

  // expect fails the check and ends the connection if nothing arrives in time.
  function expect(what) {
    clearTimeout(late);
    late = setTimeout(() => {
      check(null, { [`${what} arrives in time`]: () => false });
      leave();
    }, timeout);
  }

  function leave() {
    clearTimeout(next);
    clearTimeout(late);
    if (leaving) {
      return;
    }
    leaving = true;
    if (ws.readyState == 1) {
      late = setTimeout(() => check(null, { 'a close frame arrives in time': () => false }), timeout);
      ws.close(1000, 'done');
    }
  }

  function send() {
    if (sent == messages) {
      if (ponged) {
        leave();
      } else {
        expect('a pong');
      }
      return;
    }
    waiting = newMessage(sent++);
    sentAt = Date.now();
    ws.send(waiting);
    expect('an echo');
  }

  ws.onopen = () => {
    opened = true;
    ws.ping();
    send();
  };

  ws.onmessage = (event) => {
    if (leaving) {
      return;
    }
    const good = check(event.data, {
      'an echo was expected': () => waiting !== null,
      'the echo has every byte': (data) => waiting !== null && same(data, waiting),
    });
    waiting = null;
    if (!good) {
      leave();
      return;
    }
    clearTimeout(late);
    echoes.add(1);
    echoTime.add(Date.now() - sentAt);
    next = setTimeout(send, pause);
  };

  ws.onpong = () => {
    ponged = true;
    if (sent == messages && waiting === null) {
      leave();
    }
  };

  ws.onclose = (event) => {
    clearTimeout(next);
    clearTimeout(late);
    check(event, {
      'the handshake succeeds': () => opened,
      // k6 reports its own code if no close frame arrives. The server returns the reason too.
      'the close code is 1000, or 1001 from the server': (e) =>
        !opened || e.code == 1001 || (leaving && e.code == 1000 && e.reason == 'done'),
    });
    if (event.code == 1001) {
      goingAway.add(1);
      crossed.add(waiting === null ? 0 : 1);
    }
  };

  expect('the handshake');
}
