// The echo server of npm's ws, with the heartbeat of its README. It ends when its
// standard input ends, and after SIGTERM when its clients have closed.
'use strict';

const fs = require('fs');
const readline = require('readline');
const { WebSocketServer } = require('ws');

const options = JSON.parse(process.argv[1]);

let server;
if (options.pem) {
  const pem = fs.readFileSync(options.pem);
  server = require('https').createServer({ cert: pem, key: pem });
} else {
  server = require('http').createServer();
}

const wss = new WebSocketServer({
  server,
  maxPayload: 16 << 20,
  perMessageDeflate: options.compression && {
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
  },
});

wss.on('connection', (ws) => {
  ws.isAlive = true;
  ws.on('pong', () => {
    ws.isAlive = true;
  });
  ws.on('error', () => {}); // ws closes the connection
  ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
});

let ticker;
if (options.heartbeat > 0) {
  ticker = setInterval(() => {
    for (const ws of wss.clients) {
      if (!ws.isAlive) {
        ws.terminate();
        continue;
      }
      ws.isAlive = false;
      ws.ping();
    }
  }, options.heartbeat * 1000);
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => console.log(`${line} unknown`));
lines.on('close', () => process.exit(0));

process.on('SIGTERM', () => {
  clearInterval(ticker);
  wss.close();
  server.close(() => process.exit(0));
  for (const ws of wss.clients) ws.close(1001);
  setTimeout(() => {
    for (const ws of wss.clients) ws.terminate();
    process.exit(0);
  }, options.shutdown * 1000);
});

server.listen(0, '127.0.0.1', () => {
  const { address, port } = server.address();
  console.log(`listening ${address}:${port}`);
});
