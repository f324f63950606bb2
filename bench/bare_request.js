/**
 * A synchronous request to a server, as bare as can be: what a call that waits by them cannot undercut.
 * @module
 */

/** A page's clock is coarse (0.1 ms): short things are timed so many at a time. */
const BATCH = 10;

/** One request and its answer: the median, in seconds. @param {string} url @param {{count: number}} options */
export function ping(url, { count }) {
  const times = [];
  for (let i = 0; i < count / BATCH; i++) {
    const start = performance.now();
    for (let j = 0; j < BATCH; j++) {
      const request = new XMLHttpRequest();
      request.open("GET", url, false);
      request.send();
    }
    times.push((performance.now() - start) / BATCH / 1000);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1];
}
