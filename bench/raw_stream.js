/**
 * What is measured of streaming answers, as a page does it with the browser's own fetch.
 * @module
 */

/** From the request to the last byte, in seconds. @param {string} url @param {{size: number}} options */
export async function receive(url, { size }) {
  const start = performance.now();
  const response = await fetch(`${url}/${size}`);
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  let left = size;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    left -= value.length;
  }
  if (left) throw new Error("the peer closed too early");
  return (performance.now() - start) / 1000;
}
