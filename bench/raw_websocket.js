/**
 * What is measured, as a page does it with the browser's own WebSocket, one for each connection.
 *
 * `socket_measures.py` is its twin. Every function returns seconds.
 * @module
 */

/** A page's clock is coarse (0.1 ms): short things are timed so many at a time. */
const BATCH = 10;

/** Bytes handed to the WebSocket before waiting: many milliseconds' worth, so that it never runs dry. */
const BUFFERED_MAX = 16 << 20;

/** How often (ms) to look whether it has sent some of them; there is no event for that. */
const LOOK_AGAIN = 5;

const MESSAGE = Uint8Array.from({ length: 32 }, (_, index) => index);

/** From the request to the last byte. @param {string} url @param {{size: number}} options */
export async function receive(url, { size }) {
  const socket = await opened(url);
  const start = performance.now();
  socket.send(numberBytes(size));
  await bytesReceived(socket, size);
  return finished(socket, start);
}

/**
 * From the first byte to the confirmation of the last. Chromium is fastest with messages from 64 to 256 KiB.
 * @param {string} url
 * @param {{size: number}} options
 */
export async function send(url, { size }) {
  const socket = await opened(url);
  const piece = new Uint8Array(256 * 1024);
  socket.send(numberBytes(size));
  const start = performance.now();
  for (let left = size; left > 0; left -= piece.length) {
    while (socket.bufferedAmount > BUFFERED_MAX) await pause(LOOK_AGAIN);
    socket.send(piece.subarray(0, Math.min(left, piece.length)));
  }
  await bytesReceived(socket, 1);
  return finished(socket, start);
}

/** One round trip of 32 bytes: the median. @param {string} url @param {{count: number}} options */
export async function ping(url, { count }) {
  const socket = await opened(url);
  const time = await medianTime(count, async () => {
    socket.send(MESSAGE);
    await bytesReceived(socket, MESSAGE.length);
  });
  socket.close();
  return time;
}

/** One connection until its first byte: the median. @param {string} url @param {{count: number}} options */
export async function connect(url, { count }) {
  return medianTime(count, async () => {
    const socket = newSocket(url);
    await bytesReceived(socket, 1);
    socket.close();
  });
}

/**
 * Many small sends, one message each, until the last byte of their echo is back.
 * @param {string} url
 * @param {{count: number}} options
 */
export async function burst(url, { count }) {
  const socket = await opened(url);
  const start = performance.now();
  for (let i = 0; i < count; i++) socket.send(MESSAGE);
  await bytesReceived(socket, count * MESSAGE.length);
  return finished(socket, start);
}

/**
 * Many sockets open at once: connect all, send each its own message, check each echo.
 * @param {string} url
 * @param {{count: number}} options
 */
export async function crowd(url, { count }) {
  const start = performance.now();
  const sockets = await Promise.all(Array.from({ length: count }, () => opened(url)));
  const echoes = sockets.map((socket) => new Promise((resolve) => { socket.onmessage = resolve; }));
  sockets.forEach((socket, number) => socket.send(numberBytes(number)));
  const received = (await Promise.all(echoes)).map(({ data }) => Number(new DataView(data).getBigUint64(0)));
  for (const socket of sockets) socket.close();
  if (received.some((number, index) => number !== index)) {
    throw new Error("some sockets received what others were sent");
  }
  return (performance.now() - start) / 1000;
}

/**
 * Many messages out and, at the same time, back.
 * @param {string} url
 * @param {{count: number, size: number, under_way: number}} options
 */
export async function flood(url, { count, size, under_way: underWay }) {
  const socket = await opened(url);
  const message = new Uint8Array(size);
  let [sent, back] = [0, 0];
  const sendMore = () => {
    for (; sent < count && sent - Math.floor(back / size) < underWay; sent++) socket.send(message);
  };
  const start = performance.now();
  await new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      back += data.byteLength;
      if (back === count * size) resolve(undefined);
      else sendMore();
    };
    socket.onclose = () => reject(new Error("the peer closed too early"));
    sendMore();
  });
  return finished(socket, start);
}

/** @param {string} url */
function newSocket(url) {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  return socket;
}

/** @param {string} url @returns {Promise<WebSocket>} */
function opened(url) {
  const socket = newSocket(url);
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error(`no connection to ${url}`));
  });
}

/** @param {WebSocket} socket @param {number} count @returns {Promise<void>} */
function bytesReceived(socket, count) {
  let left = count;
  return new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      left -= data.byteLength;
      if (left <= 0) resolve();
    };
    socket.onclose = () => reject(new Error("the peer closed too early"));
  });
}

/** @param {WebSocket} socket @param {number} start */
function finished(socket, start) {
  const seconds = (performance.now() - start) / 1000;
  socket.close();
  return seconds;
}

/** Eight bytes, big-endian. @param {number} value */
function numberBytes(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** @param {number} milliseconds */
function pause(milliseconds) {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}

/** @param {number} count @param {() => Promise<void>} act */
async function medianTime(count, act) {
  const times = [];
  for (let i = 0; i < count / BATCH; i++) {
    const start = performance.now();
    for (let j = 0; j < BATCH; j++) await act();
    times.push((performance.now() - start) / BATCH / 1000);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1];
}
