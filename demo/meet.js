/**
 * The page on which two meet: runs demo/examples/meet.py on its main thread, since browsers have WebRTC nowhere else.
 * @module
 */

import { bootPyodide, findPyodide } from "./boot.js";
import { ProxyAddress, findWheel } from "./proxy.js";

/** @template {HTMLElement} T @param {string} selector @returns {T} */
const part = (selector) => /** @type {T} */ (document.querySelector(selector));

const state = part("#state");
const invitation = part("#invitation");
const form = /** @type {HTMLFormElement} */ (part("#say"));
const field = /** @type {HTMLInputElement} */ (part("#say input"));
const button = /** @type {HTMLButtonElement} */ (part("#say button"));

/** @param {string} text */
function tell(text) {
  state.textContent = text;
}

/** @param {string} line @param {{here: boolean}} options */
function show(line, { here }) {
  const item = document.createElement("li");
  item.textContent = line;
  item.classList.toggle("here", here);
  part("#said").append(item);
}

/** What somebody types next. @returns {Promise<string>} */
function nextLine() {
  invitation.hidden = true;
  field.disabled = button.disabled = false;
  field.focus();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      if (!field.value) return;
      resolve(field.value);
      field.value = "";
    };
  });
}

/** The room that the address names, or a new one, which the link to this page then names. */
function findRoom() {
  const room = location.hash.slice(1) || crypto.randomUUID();
  const link = new URL(location.href);
  link.hash = room;
  part("#invitation a").setAttribute("href", link.href);
  return room;
}

async function start() {
  const room = findRoom();
  const own = await ProxyAddress.ofPage(location);
  if (!own) throw new Error("This page has to come from the proxy: /demo/meet.html at its address.");
  history.replaceState(null, "", `${location.pathname}${location.hash}`); // without the token
  const program = await fetch("./examples/meet.py").then((response) => response.text());
  part("#program").textContent = program;
  const pyodide = await bootPyodide(await findPyodide(), () => {});
  await pyodide.pyimport("micropip").install(await findWheel(own));
  const address = `${own.session}?token=${encodeURIComponent(own.token)}`;
  pyodide.registerJsModule("page", { address, room, tell, show, next_line: nextLine });
  invitation.hidden = false;
  await pyodide.runPythonAsync(program);
}

start()
  .catch((error) => {
    tell(error.message.trim().split("\n").at(-1));
    state.classList.add("bad");
  })
  .finally(() => {
    field.disabled = button.disabled = invitation.hidden = true;
  });
