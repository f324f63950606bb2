/**
 * The demo page: puts its parts together.
 * @module
 */

import { findPyodide } from "./boot.js";
import { drawChart } from "./chart.js";
import { ConnectionBox, remember, remembered } from "./connection.js";
import { Editor } from "./editor.js";
import { EXAMPLES, loadExample } from "./examples.js";
import { bytes, duration, rate } from "./format.js";
import { OutputPane } from "./output.js";
import { PlainError, ProxyAddress, findServices, findWheel, sentence } from "./proxy.js";
import { Python } from "./python.js";
import { SocketTable } from "./sockets.js";
import { Stages } from "./stages.js";
import { Traffic } from "./traffic.js";

/** How often (ms) charts and table are drawn. */
const DRAW_EVERY = 250;

/** @template {HTMLElement} T @param {string} id @returns {T} */
const part = (id) => /** @type {T} */ (document.getElementById(id));

const editor = new Editor(part("source"), part("colours"), part("line-numbers"));
const output = new OutputPane(part("output"));
const stages = new Stages(part("stages"));
const table = new SocketTable(part("sockets"), part("sockets-note"));
const connection = new ConnectionBox(part("connection"), { connect, disconnect });
const runButton = /** @type {HTMLButtonElement} */ (part("run"));
const stopButton = /** @type {HTMLButtonElement} */ (part("stop"));
const traffic = new Traffic(performance.now());

/** @type {import("./proxy.js").ProxyAddress | null} */
let connected = null;
/** @type {Awaited<ReturnType<typeof findServices>>} */
let services = {};
let packageInstalled = false;
/** @type {ReturnType<Python["boot"]>} */
let booted;
/** Whether Python is there. */
let up = false;
/** How many connections are being made. */
let connecting = 0;

const python = new Python({
  progress: ({ stage, ...soFar }) => stages.advance(stage, soFar),
  output: (pieces) => pieces.forEach(({ stream, text }) => output.write(stream, text)),
  status: showStatus,
});

// ── Getting ready ───────────────────────────────────────────────────────────────────────────────────────────

async function start() {
  const own = await ProxyAddress.ofPage(location);
  // Whoever looks over a shoulder, or gets this address sent, need not learn the token.
  history.replaceState(null, "", location.pathname);

  const last = remembered();
  const address = own && !own.token && last?.base.href === own.base.href ? last : (own ?? last);
  if (address) connection.fill(address);
  boot();
  if (address) await connect(address);
}

/** A program's end ends the tasks that it has left behind, and a connection that is being made would be among them. */
function allowRun() {
  runButton.disabled = !up || connecting > 0;
}

function boot() {
  packageInstalled = up = false;
  allowRun();
  stages.show("runtime", "library", "package", "connection");
  const begun = performance.now();
  booted = findPyodide().then((indexURL) => python.boot(indexURL));
  stages.during("runtime", booted).catch(() => {});
  stages.during("library", booted).catch(() => {});
  booted.then(
    (versions) => {
      const time = duration(performance.now() - begun);
      output.write("note", `Python ${versions.python} in Pyodide ${versions.pyodide}, ready after ${time}\n`);
      if (!versions.suspends) {
        output.write(
          "note",
          "This browser cannot suspend Python (it lacks JSPI): blocking calls wait by synchronous requests here, " +
            "which is slower. Chromium 137 and newer can.\n",
        );
      }
      up = true;
      allowRun();
      if (connection.state !== "off") return;
      stages.hide();
      output.write("note", "Give it a network: start a proxy (pynet-browser serve), and connect to it above.\n");
    },
    (error) => output.write("error", `Python could not be loaded: ${error.message}\n`),
  );
}

// ── The connection ──────────────────────────────────────────────────────────────────────────────────────────

/** @param {ProxyAddress} address */
async function connect(address) {
  connection.show("connecting", address);
  connecting++;
  allowRun();
  try {
    if (await reach(address)) await meetServices(address); // before that a program would have wrong addresses
  } finally {
    connecting--;
    allowRun();
  }
}

/** Tells whether it succeeded, and was not cancelled. @param {ProxyAddress} address */
async function reach(address) {
  try {
    await stages.during("package", installPackage(address));
    await stages.during("connection", establish(address));
  } catch (error) {
    stages.hide();
    if (connection.address !== address) return false; // it was cancelled
    connection.show("off");
    connection.complain(error instanceof PlainError ? error.message : sentence(String(error)));
    return false;
  }
  stages.hide();
  return connected === address;
}

/** @param {ProxyAddress} address */
async function meetServices(address) {
  remember(address);
  services = await findServices(address);
  part("meet").hidden = Object.keys(services).length === 0; // such a proxy has no demo
  await fillInAddresses();
}

/** @param {ProxyAddress} address */
async function installPackage(address) {
  const wheel = packageInstalled ? "" : await findWheel(address);
  await booted;
  if (wheel) await python.install(wheel);
  packageInstalled = true;
}

/** @param {ProxyAddress} address */
async function establish(address) {
  const failure = await python.connect({ url: address.session, token: address.token });
  if (failure) throw new PlainError(sentence(failure));
  if (connection.address !== address) await python.disconnect();
  else connected = address;
}

function disconnect() {
  connected = null;
  part("meet").hidden = true;
  remember(null);
  connection.show("off", null);
  python.disconnect().catch(() => {});
}

/** @param {any} status what `pynet_browser.status()` says, and when */
function showStatus(status) {
  traffic.sample(status.time - performance.timeOrigin, status.sockets);
  if (!connected) return;
  const state = { attached: "connected", detached: "reconnecting" }[/** @type {string} */ (status.state)] ?? "off";
  connection.show(/** @type {import("./connection.js").ConnectionState} */ (state), connected);
  if (state === "connected") connection.showRoundTrip(status.round_trip);
  if (state === "off") {
    connected = null;
    connection.complain(whyOff(status));
  }
}

/** @param {{installed: boolean, state: string}} status */
function whyOff({ installed, state }) {
  if (!installed) return "The program has taken the network away.";
  if (state === "local") return "The program has made this page its own network.";
  return "The proxy has gone, and with it every socket.";
}

// ── Programs ────────────────────────────────────────────────────────────────────────────────────────────────

let example = EXAMPLES[0];
/** The example as it was put into the editor. */
let exampleText = "";

/** @param {import("./examples.js").Example} chosen */
async function showExample(chosen) {
  example = chosen;
  const text = await loadExample(chosen, services);
  if (example !== chosen) return; // another one was chosen meanwhile
  exampleText = editor.text = text;
  for (const button of part("examples").querySelectorAll("button")) {
    button.setAttribute("aria-current", String(button.dataset.file === chosen.file));
  }
  part("file-name").textContent = chosen.file;
}

/** The services are known now; an example that was not edited gets their addresses. */
async function fillInAddresses() {
  const shown = example;
  const text = await loadExample(shown, services);
  if (example === shown && editor.text === exampleText) exampleText = editor.text = text;
}

function listExamples() {
  for (const each of EXAMPLES) {
    const button = document.createElement("button");
    const title = document.createElement("strong");
    const summary = document.createElement("span");
    button.dataset.file = each.file;
    title.textContent = each.title;
    summary.textContent = each.summary;
    button.append(title, summary);
    button.addEventListener("click", () => showExample(each));
    const item = document.createElement("li");
    item.append(button);
    part("meet").before(item);
  }
}

/** A page on which two meet; it comes from the proxy, and is shown the token as this one was. */
function openMeeting() {
  if (!connected) return;
  const page = new URL("demo/meet.html", connected.base);
  page.searchParams.set("token", connected.token);
  window.open(page, "_blank", "noreferrer");
}

async function run() {
  if (runButton.disabled) return;
  output.clear();
  const begun = performance.now();
  const show = (/** @type {string} */ what) => {
    part("run-state").textContent = `${what} ${duration(performance.now() - begun)}`;
  };
  show("running for");
  const clock = setInterval(show, 100, "running for");
  running(true);
  try {
    const { outcome, traceback, code } = await python.run(editor.text);
    if (traceback) output.write("error", traceback);
    if (outcome === "exited" && code !== "0") output.write("note", `exit status ${code}\n`);
    show(`${outcome === "killed" ? "stopped" : outcome} after`);
    if (outcome === "killed") restart("The program would not stop by itself, so Python was started anew.");
  } catch (error) {
    output.write("error", `${error instanceof Error ? error.message : error}\n`);
    show("broken after");
    python.restart();
    restart("Python broke, so it was started anew.");
  } finally {
    clearInterval(clock);
    running(false);
  }
}

/** @param {boolean} now */
function running(now) {
  runButton.hidden = now;
  stopButton.hidden = !now;
  stopButton.disabled = false;
}

function stop() {
  stopButton.disabled = true;
  python.stop();
}

/** Python had to be ended with the program. @param {string} reason */
function restart(reason) {
  const address = connected;
  connected = null;
  traffic.sample(performance.now(), []);
  output.write("note", `${reason}\n`);
  boot();
  if (address) connect(address);
}

// ── What is drawn again and again ───────────────────────────────────────────────────────────────────────────

const charts = /** @type {const} */ (["received", "sent"]).map((direction) => ({
  direction,
  canvas: /** @type {HTMLCanvasElement} */ (part(`${direction}-chart`)),
  rate: part(`${direction}-rate`),
  total: part(`${direction}-total`),
}));

function draw() {
  const now = performance.now();
  const { total } = traffic;
  for (const { direction, ...shown } of charts) {
    shown.rate.textContent = rate(total.rates[direction]);
    shown.total.textContent = bytes(total[direction]);
    drawChart(shown.canvas, total.history, direction, now, { timeLabels: direction === "sent" });
  }
  const { length } = traffic.open;
  part("sockets-count").textContent = length ? String(length) : "";
  table.show(traffic.sockets, now);
}

runButton.addEventListener("click", run);
stopButton.addEventListener("click", stop);
part("clear").addEventListener("click", () => output.clear());
part("meet").addEventListener("click", openMeeting);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  run();
});
setInterval(draw, DRAW_EVERY);
listExamples();
showExample(example);
draw();
start();
