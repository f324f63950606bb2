/**
 * The page's turns, and the synchronous requests during which it must have none.
 *
 * Firefox lets events of a page's own thread happen during such a request, timers excepted (seen in 153). They would
 * find Python in the middle of a system call, in which it must not be called.
 * @module
 */

let standing = false;
/** What waits until the request is over. @type {(() => void)[]} */
let late = [];

/**
 * Make a synchronous request.
 * @template T
 * @param {() => T} request
 * @returns {T}
 */
export function standStill(request) {
  standing = true;
  try {
    return request();
  } finally {
    standing = false;
    const callbacks = late;
    late = [];
    for (const callback of callbacks) callback();
  }
}

/** Call now; during a synchronous request, as soon as it is over. @param {() => void} callback */
export function notMeanwhile(callback) {
  if (standing) late.push(callback);
  else callback();
}

/**
 * Call back when the page has had a turn: what has come from the network until now is heard before.
 * @param {() => void} callback
 */
export function afterTurn(callback) {
  const { port1, port2 } = new MessageChannel(); // a timer would wait for 4 ms
  port1.onmessage = () => {
    port1.close();
    if (standing) setTimeout(callback);
    else callback();
  };
  port2.postMessage(null);
}
