/**
 * wisp-js as a client: does what it is told in one line of JSON, and says in another what came of it.
 *
 * Asked for are url, version, type, host, port, the sizes of the messages to send, and how many bytes to read.
 * Messages are zeros behind a first byte that numbers them.
 * @module
 */

import { pathToFileURL } from "node:url";

const [file, text] = process.argv.slice(2);
const { client } = await import(pathToFileURL(file).href);
const { url, version, type, host, port, sizes, read } = JSON.parse(text);

const connection = new client.ClientConnection(url, { wisp_version: version });
await new Promise((resolve, reject) => {
  connection.onopen = () => resolve(undefined);
  connection.onerror = () => reject(new Error("no connection"));
  connection.onclose = () => reject(new Error("no connection"));
});
const stream = connection.create_stream(host, port, type);
/** @type {{version: number, received: number, messages: number, reason: number | null}} */
const answer = { version: connection.wisp_version, received: 0, messages: 0, reason: null };
await new Promise((resolve) => {
  stream.onmessage = (/** @type {Uint8Array} */ data) => {
    answer.received += data.length;
    answer.messages += 1;
    if (answer.received >= read) resolve(undefined);
  };
  stream.onclose = (/** @type {number} */ reason) => {
    answer.reason = reason;
    resolve(undefined);
  };
  sizes.forEach((/** @type {number} */ size, /** @type {number} */ index) => {
    const message = new Uint8Array(size);
    message[0] = index;
    stream.send(message);
  });
});
stream.close(2);
process.stdout.write(JSON.stringify(answer));
connection.close();
