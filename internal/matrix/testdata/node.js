// A server of npm's ws that misbehaves as the query of a URL requests. It ends when its
// standard input ends.
'use strict';

const http = require('http');
const { WebSocketServer } = require('ws');

const milliseconds = (text) => parseFloat(text) * (text.endsWith('ms') ? 1 : 1000);

const server = http.createServer();
const wss = new WebSocketServer({ noServer: true, autoPong: false });

wss.on('headers', (headers, request) => {
  if (!request.faults.has('accept')) return;
  const at = headers.findIndex((line) => line.startsWith('Sec-WebSocket-Accept'));
  headers[at] = 'Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=';
});

server.on('upgrade', (request, socket, head) => {
  const url = new URL(request.url, 'http://localhost');
  const faults = url.searchParams;
  const path = /^\/(close|delay|status)\/(.*)$/.exec(url.pathname);
  if (path) faults.set(path[1], path[2]);
  request.faults = faults;
  socket.on('error', () => {}); // the client is gone
  const open = () => {
    if (faults.has('status')) {
      const status = faults.get('status');
      socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    wss.handleUpgrade(request, socket, head, (ws) => serve(ws, socket, faults));
  };
  if (faults.has('hold')) setTimeout(open, milliseconds(faults.get('hold')));
  else open();
});

function serve(ws, socket, faults) {
  const mask = faults.has('mask') || undefined;
  const after = faults.get('after') ?? '0ms';
  let echoed = 0;
  const tickers = [];
  ws.on('error', () => {}); // ws closes the connection
  ws.on('close', () => tickers.forEach(clearInterval));

  const act = () => {
    if (faults.has('utf8')) ws.send(Buffer.from([0x62, 0x61, 0xff, 0x64]), { binary: false });
    if (faults.has('garbage')) socket.write(Buffer.from([0x83, 0]));
    if (faults.has('truncate')) socket.write(Buffer.from([0x82, 126, 0, 200, 1, 2, 3]));
    if (faults.has('close')) ws.close(Number(faults.get('close')), faults.get('reason') ?? '');
    else if (faults.get('drop') === 'rst') socket.resetAndDestroy();
    else if (faults.has('drop') || faults.has('truncate')) socket.end();
  };

  ws.on('message', (data, binary) => {
    let wait = faults.has('delay') ? milliseconds(faults.get('delay')) : 0;
    if (faults.has('jitter')) wait += (2 * Math.random() - 1) * milliseconds(faults.get('jitter'));
    const echo = () => {
      const size = Number(faults.get('fragment') ?? data.length);
      for (let at = 0; at < data.length; at += size) {
        ws.send(data.subarray(at, at + size), { binary, mask, fin: at + size >= data.length });
      }
      if (++echoed === Number(after)) act();
    };
    if (wait > 0) setTimeout(echo, wait);
    else echo();
  });

  let pongs = 0;
  ws.on('ping', (data) => {
    const how = faults.get('pong') ?? 'all';
    if (how.startsWith('late:')) setTimeout(() => ws.pong(data, mask), milliseconds(how.slice(5)));
    else if (how === 'other') ws.pong('another', mask);
    else if (how !== 'off' && !(pongs++ >= Number(how))) ws.pong(data, mask);
  });

  if (faults.has('hello')) ws.send(JSON.stringify({ remote: socket.remoteAddress }));
  if (faults.has('ping')) tickers.push(setInterval(() => ws.ping(), milliseconds(faults.get('ping'))));
  if (faults.has('send')) {
    let left = Number(faults.get('send'));
    tickers.push(setInterval(() => left-- > 0 && ws.send('no echo'), milliseconds(faults.get('every') ?? '1s')));
  }
  if (faults.get('read') === 'stall') ws.pause();
  if (after.endsWith('s')) setTimeout(act, milliseconds(after));
}

process.stdin.resume().on('end', () => process.exit(0));
server.listen(0, '127.0.0.1', () => console.log(`listening 127.0.0.1:${server.address().port}`));
