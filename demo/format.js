/**
 * Numbers for people, in decimal units and three digits.
 * @module
 */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** @param {number} count */
export function bytes(count) {
  let power = 0;
  let value = count;
  // 999.6 would be shown as 1000.
  while (value >= 999.5 && power < UNITS.length - 1) {
    value /= 1000;
    power++;
  }
  return `${power ? threeDigits(value) : Math.round(value)} ${UNITS[power]}`;
}

/** @param {number} bytesPerSecond */
export function rate(bytesPerSecond) {
  return `${bytes(bytesPerSecond)}/s`;
}

/** @param {number} milliseconds */
export function duration(milliseconds) {
  if (milliseconds < 1000) return `${threeDigits(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.floor(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** @param {number} value below 1000 */
function threeDigits(value) {
  if (value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 9.995 ? 1 : 2);
}
