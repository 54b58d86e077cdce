// A TLS peer on Node's `tls`, told what to do by its arguments. It says on its standard output what
// was agreed on and what happened, a line each.
'use strict';

const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');
const { parseArgs } = require('node:util');

const { positionals: [role], values: given } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    ca: { type: 'string' },
    cert: { type: 'string' },
    key: { type: 'string' },
    alpn: { type: 'string' },
    version: { type: 'string' },
    name: { type: 'string', default: 'localhost' },
    verify: { type: 'string', default: 'off' },
    connections: { type: 'string', default: '1' },
    do: { type: 'string', default: 'lines' },
    file: { type: 'string' },
    bytes: { type: 'string', default: '0' },
  },
});

const say = (line) => process.stdout.write(`${line}\n`);
const hash = (data) => createHash('sha256').update(data).digest('hex');

function options() {
  const made = { ca: readFileSync(given.ca), allowHalfOpen: true };
  if (given.cert) {
    made.cert = readFileSync(given.cert);
    made.key = readFileSync(given.key);
  }
  if (given.alpn) made.ALPNProtocols = given.alpn.split(',');
  if (given.version) made.minVersion = made.maxVersion = `TLSv${given.version}`;
  if (role === 'server') {
    made.requestCert = given.verify !== 'off';
    made.rejectUnauthorized = given.verify === 'required';
  }
  return made;
}

function tell(socket) {
  const certificate = socket.getPeerCertificate();
  const subject = certificate.subject ? certificate.subject.CN : '';
  say(`agreed version=${socket.getProtocol()} cipher=${socket.getCipher().standardName} `
    + `alpn=${socket.alpnProtocol || 'None'} reused=${socket.isSessionReused() ? 'True' : 'False'} `
    + `name=${socket.servername || 'None'} peer=${subject}.`);
}

// ---- deeds -------------------------------------------------------------------------------------

const deeds = {
  // What is typed goes there, what comes from there is printed.
  lines(socket) {
    process.stdin.on('data', (text) => socket.write(text));
    process.stdin.on('end', () => socket.end());
    socket.on('data', (text) => process.stdout.write(text));
    socket.on('end', () => {
      say('ended');
      process.stdin.destroy();
      socket.end();
    });
  },

  echo(socket) {
    socket.on('data', (text) => socket.write(text));
    socket.on('end', () => { say('ended'); socket.end(); });
  },

  // Says a line, hears one, and ends.
  greet(socket) {
    socket.write('hello\n');
    socket.on('data', (text) => { say(text.toString().trim()); socket.end(); });
  },

  // Sends the whole file, and receives as much, at the same time.
  bulk(socket) {
    const data = readFileSync(given.file);
    const digest = createHash('sha256');
    socket.on('data', (text) => digest.update(text));
    socket.on('end', () => {
      say(`received ${digest.digest('hex')}`);
      say(`sent ${hash(data)}`);
    });
    socket.end(data);
  },

  // Reads to the end, and only then sends so many bytes.
  answer(socket) {
    let count = 0;
    socket.on('data', (text) => { count += text.length; });
    socket.on('end', () => {
      say(`ended after ${count}`);
      socket.end(Buffer.alloc(Number(given.bytes), 'a'));
    });
  },

  // Ends first, and reads on: the other way round.
  hear_out(socket) {
    let count = 0;
    socket.on('data', (text) => { count += text.length; });
    socket.on('end', () => say(`ended after ${count}`));
    socket.end();
  },
};

// ---- roles -------------------------------------------------------------------------------------

function server() {
  let left = Number(given.connections);
  const listener = tls.createServer(options(), (socket) => {
    socket.on('error', (error) => say(`failed ${error.message}`));
    tell(socket);
    deeds[given.do](socket);
  });
  const done = () => { left -= 1; if (left === 0) listener.close(); };
  listener.on('connection', done);
  listener.on('tlsClientError', (error) => say(`failed ${error.message}`));
  listener.listen(0, '127.0.0.1', () => say(`listening ${listener.address().port}`));
}

function client(left, session) {
  if (left === 0) return;
  let latest = session;
  // The name of an address is not sent, but it is what the certificate must be for.
  const name = net.isIP(given.name) ? { host: given.name } : { servername: given.name };
  const socket = tls.connect({
    host: '127.0.0.1', port: Number(given.port), session, ...name, ...options(),
  });
  socket.on('session', (ticket) => { latest = ticket; });
  socket.on('error', (error) => say(`failed ${error.message}`));
  socket.on('close', () => client(left - 1, latest));
  socket.on('secureConnect', () => { tell(socket); deeds[given.do](socket); });
}

if (role === 'server') server(); else client(Number(given.connections));
