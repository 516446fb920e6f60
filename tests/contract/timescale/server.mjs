// TimescaleDB in WebAssembly behind a TCP port, for tests: `node server.mjs`. Prints the port on a line, then "ready",
// and ends with its standard input.
//
// There is one backend and one session in it. Connections share it by transactions: who is in one has the backend until
// it ends, the others wait. Messages are put together before they go on, wherever TCP cut them, and prepared statements
// of different connections, which count alike, get names of their own. Everybody is let in, as postgres.
//
// Source: PostgreSQL's documentation, "Message Formats".

import { createServer } from "node:net";
import { PGlite } from "@electric-sql/pglite";
import { timescaledb } from "@electric-sql/pglite/timescaledb";

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const STARTUP = 196608;
const TOLD = { server_version: "17.5", server_encoding: "UTF8", client_encoding: "UTF8", TimeZone: "GMT" };
const MORE = { DateStyle: "ISO, MDY", IntervalStyle: "postgres", integer_datetimes: "on", standard_conforming_strings: "on" };

const database = await PGlite.create({ extensions: { timescaledb } });
const waiting = [];
let holder = null;
let busy = false;
let connections = 0;

function message(type, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const ready = message("Z", "I");

function greeting() {
  const told = Object.entries({ ...TOLD, ...MORE }).map(([name, value]) => message("S", `${name}\0${value}\0`));
  return Buffer.concat([message("R", [0, 0, 0, 0]), ...told, message("K", [0, 0, 0, 1, 0, 0, 0, 1]), ready]);
}

// A prepared statement's name with the connection's number before it; the unnamed one stays unnamed.
function renamed(type, body, number) {
  const at = { P: 0, B: body.indexOf(0) + 1, D: 1, C: 1 }[type];
  if (at === undefined || ("DC".includes(type) && body[0] !== 0x53) || body[at] === 0) return body;
  return Buffer.concat([body.subarray(0, at), Buffer.from(`c${number}_`), body.subarray(at)]);
}

async function serve() {
  if (busy) return;
  busy = true;
  for (;;) {
    const index = waiting.findIndex((one) => holder === null || one.connection === holder);
    if (index < 0) break;
    const [{ connection, bytes }] = waiting.splice(index, 1);
    const answer = Buffer.from(await database.execProtocolRaw(bytes));
    holder = answer.at(-1) === 0x49 ? null : connection; // ReadyForQuery ends with the transaction's state
    if (connection.writable) connection.write(answer);
  }
  busy = false;
}

function ask(connection, bytes) {
  waiting.push({ connection, bytes });
  serve();
}

createServer((connection) => {
  const number = ++connections;
  let left = Buffer.alloc(0);
  let whole = [];
  let started = false;

  function take() {
    const head = started ? 1 : 0;
    if (left.length < head + 4) return false;
    const length = left.readInt32BE(head) + head;
    if (left.length < length) return false;
    const body = left.subarray(head + 4, length);
    const type = started ? String.fromCharCode(left[0]) : "";
    left = left.subarray(length);
    if (!started) {
      const wanted = body.readInt32BE(0);
      if (wanted === SSL_REQUEST || wanted === GSS_REQUEST) connection.write("N");
      else if (wanted === STARTUP) {
        started = true;
        connection.write(greeting());
      } else connection.end();
    } else if (type === "X") connection.end();
    else {
      whole.push(message(type, renamed(type, body, number)));
      if ("SQ".includes(type)) {
        ask(connection, Buffer.concat(whole));
        whole = [];
      }
    }
    return true;
  }

  connection.on("data", (data) => {
    left = Buffer.concat([left, data]);
    while (take());
  });
  connection.on("error", () => connection.destroy());
  connection.on("close", () => {
    if (holder === connection) ask(connection, message("Q", "rollback\0"));
  });
}).listen(0, "127.0.0.1", function () {
  console.log(this.address().port);
});

process.stdin.on("end", () => process.exit(0)).resume();
