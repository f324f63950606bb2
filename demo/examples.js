/**
 * The ready examples: ordinary programs whose first lines name the servers they talk to.
 * @module
 */

/** @typedef {{file: string, title: string, summary: string}} Example */

/** @type {Example[]} */
export const EXAMPLES = [
  { file: "echo.py", title: "Echo", summary: "A blocking conversation" },
  { file: "clock.py", title: "Clock", summary: "It talks every second" },
  { file: "website.py", title: "Web site", summary: "http.client and urllib" },
  { file: "fetch.py", title: "Fetch", summary: "HTTP, and how far it is" },
  { file: "many.py", title: "Many sockets", summary: "Fifty of them, by select" },
  { file: "udp.py", title: "UDP", summary: "Datagrams, echoed" },
  { file: "chat.py", title: "Chat", summary: "A server within the page" },
  { file: "download.py", title: "Download", summary: "400 MB, at full speed" },
  { file: "names.py", title: "Names", summary: "Asked at the proxy’s end" },
  { file: "redis_client.py", title: "Redis", summary: "A package from micropip" },
  { file: "errors.py", title: "Errors", summary: "What refusals look like" },
];

/**
 * The program, with the addresses that this proxy's services have: a line that begins with `ECHO = ` gets
 * that of the service `echo`.
 * @param {Example} example
 * @param {Record<string, {host: string, port: number}>} services
 */
export async function loadExample({ file }, services) {
  const response = await fetch(`./examples/${file}`);
  if (!response.ok) throw new Error(`examples/${file}: ${response.status} ${response.statusText}`);
  let source = await response.text();
  for (const [name, { host, port }] of Object.entries(services)) {
    const line = new RegExp(`^${name.toUpperCase()} = \\([^)]*\\)`, "m");
    source = source.replace(line, `${name.toUpperCase()} = ("${host}", ${port})`);
  }
  return source;
}
