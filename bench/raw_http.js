/**
 * What is measured of HTTP and WebSockets, as a page does it with what the browser has.
 *
 * `http_measures.py` is its twin. Every function returns seconds.
 * @module
 */

const MESSAGE = Uint8Array.from({ length: 32 }, (_, index) => index);

/** One small answer: the median. @param {string} url @param {{count: number, size: number}} options */
export async function fetch_small(url, { count, size }) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await bytesOf(`${url}/${size}`, size);
    times.push((performance.now() - start) / 1000);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1];
}

/** One large answer: the median. @param {string} url @param {{count: number, size: number}} options */
export const fetch_large = fetch_small;

/**
 * Many small messages, until the last is back.
 * @param {string} url
 * @param {{count: number}} options
 */
export function messages(url, { count }) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/echo`);
    socket.binaryType = "arraybuffer";
    socket.onerror = () => reject(new Error("no connection"));
    let start = 0;
    let left = count;
    socket.onopen = () => {
      start = performance.now();
      for (let i = 0; i < count; i++) socket.send(MESSAGE);
    };
    socket.onmessage = () => {
      if (--left) return;
      resolve((performance.now() - start) / 1000);
      socket.close();
    };
  });
}

/** @param {string} url @param {number} size */
async function bytesOf(url, size) {
  const response = await fetch(url);
  const { byteLength } = await response.arrayBuffer();
  if (byteLength !== size) throw new Error("the answer is not whole");
}
