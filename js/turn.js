/**
 * The page's next turn.
 * @module
 */

/**
 * Call back when the page has had a turn: what has come from the network until now is heard before.
 * @param {() => void} callback
 */
export function afterTurn(callback) {
  const { port1, port2 } = new MessageChannel(); // a timer would wait for 4 ms
  port1.onmessage = () => {
    port1.close();
    callback();
  };
  port2.postMessage(null);
}
