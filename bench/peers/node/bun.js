// The echo server with Bun. Its WebSocket server is uWebSockets in C++. It ends when its
// standard input ends, and after SIGTERM when its clients have closed.
'use strict';

const fs = require('fs');
const readline = require('readline');

const options = JSON.parse(process.argv[1]);
const pem = options.pem && fs.readFileSync(options.pem, 'utf8');
const clients = new Set();

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  tls: pem ? { cert: pem, key: pem } : undefined,
  fetch(request, server) {
    if (server.upgrade(request, { data: { isAlive: true } })) return undefined;
    return new Response('This is a WebSocket server.', { status: 426 });
  },
  websocket: {
    perMessageDeflate: options.compression ? { compress: 'shared', decompress: 'shared' } : false,
    backpressureLimit: 64 << 20, // beyond it, send drops the message
    // If heartbeat is 0, Bun uses its default. Negative: no heartbeat.
    ...(options.heartbeat === 0 ? {} : { sendPings: false, idleTimeout: 0 }),
    open(ws) {
      clients.add(ws);
    },
    message(ws, message) {
      ws.send(message, options.compression);
    },
    pong(ws) {
      ws.data.isAlive = true;
    },
    close(ws) {
      clients.delete(ws);
    },
  },
});

let ticker;
if (options.heartbeat > 0) {
  ticker = setInterval(() => {
    for (const ws of clients) {
      if (!ws.data.isAlive) {
        ws.terminate();
        continue;
      }
      ws.data.isAlive = false;
      ws.ping();
    }
  }, options.heartbeat * 1000);
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => console.log(`${line} unknown`));
lines.on('close', () => process.exit(0));

process.on('SIGTERM', () => {
  clearInterval(ticker);
  for (const ws of clients) ws.close(1001);
  const until = Date.now() + options.shutdown * 1000;
  setInterval(() => {
    if (clients.size === 0 || Date.now() > until) process.exit(0);
  }, 10);
});

console.log(`listening ${server.hostname}:${server.port}`);
