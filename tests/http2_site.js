/**
 * A site that speaks HTTP/2, which is what browsers stream bodies over: `node http2_site.js PORT CERTIFICATE KEY`.
 *
 * `POST /echo` answers with how many bytes came, in how many pieces; `GET /seen` tells how many have come until now.
 */

import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import process from "node:process";

const [port, certificate, key] = process.argv.slice(2);
const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "*",
  "access-control-allow-headers": "*",
};
let seen = 0;

const server = createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
  response.writeHead(200, CORS);
  if (request.method !== "POST") {
    response.end(String(seen));
    return;
  }
  let [bytes, pieces] = [0, 0];
  request.on("data", (piece) => {
    bytes += piece.length;
    seen += piece.length;
    pieces++;
  });
  request.on("end", () => response.end(JSON.stringify({ bytes, pieces })));
});
server.listen(Number(port), "127.0.0.1");
