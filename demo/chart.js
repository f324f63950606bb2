/**
 * Draws rates over time: a chart with axes, and a sparkline without. Colours are those of the canvas's style:
 * `color` for the line, the custom properties `--grid` and `--label` for the rest.
 * @module
 */

import { rate } from "./format.js";
import { HISTORY } from "./traffic.js";

/** Below this (B/s) the scale stays, so that a few bytes do not look like many. */
const SCALE_MIN = 100;
const LABEL_WIDTH = 64;
const TIME_HEIGHT = 18;
/** Room for the line's width and for half a label. */
const TOP = 7;
const TIME_STEP = 15_000;
/** A sparkline shows a socket's whole life, within these bounds (ms). */
const SPARK_MIN = 4000;
const SPARK_MAX = 30_000;

/**
 * @typedef {import("./traffic.js").Rates} Rates
 * @typedef {"received" | "sent"} Direction
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box
 */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Rates[]} history
 * @param {Direction} direction
 * @param {number} now
 * @param {{timeLabels: boolean}} options
 */
export function drawChart(canvas, history, direction, now, { timeLabels }) {
  const { context, width, height, style } = prepare(canvas);
  const box = { left: 0, top: TOP, right: width - LABEL_WIDTH, bottom: height - (timeLabels ? TIME_HEIGHT : 5) };
  const from = now - HISTORY;
  const visible = history.filter(({ time }) => time >= from - 1000);
  const top = niceAbove(Math.max(SCALE_MIN, ...visible.map((rates) => rates[direction])));
  context.font = `11px ${style.fontFamily}`;
  drawGrid(context, box, top, style);
  if (timeLabels) drawTimeLabels(context, box, style);
  drawLine(context, box, visible, { direction, from, span: HISTORY, top, color: style.color });
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Rates[]} history
 * @param {number} now
 */
export function drawSparkline(canvas, history, now) {
  const { context, width, height, style } = prepare(canvas);
  const age = now - (history[0]?.time ?? now);
  const span = Math.min(Math.max(age, SPARK_MIN), SPARK_MAX);
  const from = now - span;
  const visible = history.filter(({ time }) => time >= from - 1000);
  const box = { left: 0, top: 2, right: width, bottom: height - 1 };
  const top = Math.max(1, ...visible.flatMap(({ received, sent }) => [received, sent]));
  /** @type {[Direction, string][]} */
  const lines = [
    ["sent", style.getPropertyValue("--sent")],
    ["received", style.getPropertyValue("--received")],
  ];
  for (const [direction, color] of lines) {
    drawLine(context, box, visible, { direction, from, span, top, color });
  }
}

/** The canvas at the size and density it is shown at, empty. @param {HTMLCanvasElement} canvas */
function prepare(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const density = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
  }
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height, style: getComputedStyle(canvas) };
}

/**
 * The next number of the series 1, 2, 5, 10, 20, 50 …
 * @param {number} value more than 0
 */
function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5].find((step) => value <= step * power) ?? 10);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {number} top the scale's upper end
 * @param {CSSStyleDeclaration} style
 */
function drawGrid(context, box, top, style) {
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.lineWidth = 1;
  for (const share of [0, 0.5, 1]) {
    // Lines of one pixel are sharp between pixels.
    const y = Math.round(box.bottom - share * (box.bottom - box.top)) + 0.5;
    context.strokeStyle = style.getPropertyValue(share ? "--grid" : "--axis");
    context.beginPath();
    context.moveTo(box.left, y);
    context.lineTo(box.right, y);
    context.stroke();
    context.fillStyle = style.getPropertyValue("--label");
    context.fillText(share ? rate(share * top) : "0", box.right + 8, y);
  }
}

/** @param {CanvasRenderingContext2D} context @param {Box} box @param {CSSStyleDeclaration} style */
function drawTimeLabels(context, box, style) {
  context.fillStyle = style.getPropertyValue("--label");
  context.textBaseline = "top";
  for (let ago = HISTORY; ago >= 0; ago -= TIME_STEP) {
    const x = box.right - (ago / HISTORY) * (box.right - box.left);
    context.textAlign = ago === HISTORY ? "left" : ago === 0 ? "right" : "center";
    context.fillText(ago === 0 ? "now" : `−${ago / 1000} s`, x, box.bottom + 7);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {Rates[]} points oldest first
 * @param {{direction: Direction, from: number, span: number, top: number, color: string}} scale
 */
function drawLine(context, box, points, { direction, from, span, top, color }) {
  if (points.length < 2) return;
  const x = (/** @type {Rates} */ { time }) => box.left + ((time - from) / span) * (box.right - box.left);
  const y = (/** @type {Rates} */ rates) => box.bottom - (rates[direction] / top) * (box.bottom - box.top);
  const line = new Path2D();
  for (const point of points) line.lineTo(x(point), y(point));
  const area = new Path2D(line);
  area.lineTo(x(points[points.length - 1]), box.bottom);
  area.lineTo(x(points[0]), box.bottom);
  context.save();
  context.beginPath();
  context.rect(box.left, box.top - 2, box.right - box.left, box.bottom - box.top + 3);
  context.clip();
  context.fillStyle = color;
  context.globalAlpha = 0.13;
  context.fill(area);
  context.globalAlpha = 1;
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.stroke(line);
  context.restore();
}
