/**
 * The pane that shows what a program prints, while it prints.
 * @module
 */

/** Most characters kept; the oldest go first. */
const KEPT = 200_000;
/** Closer to the end than this (px), the pane follows the output. */
const NEAR_END = 24;

export class OutputPane {
  /** Not shown yet. @type {{stream: string, text: string}[]} */
  #pending = [];
  #length = 0;
  #scheduled = false;

  /** @param {HTMLElement} pane */
  constructor(pane) {
    this.pane = pane;
  }

  clear() {
    this.#pending = [];
    this.#length = 0;
    this.pane.replaceChildren();
  }

  /** @param {string} stream stdout, stderr, error or note @param {string} text */
  write(stream, text) {
    this.#pending.push({ stream, text });
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Not an animation frame: a page in the background gets none, and would collect without end.
    setTimeout(() => this.#show(), 0);
  }

  #show() {
    this.#scheduled = false;
    const { pane } = this;
    const follows = pane.scrollHeight - pane.scrollTop - pane.clientHeight < NEAR_END;
    for (const { stream, text } of this.#pending.splice(0)) this.#append(stream, text);
    while (this.#length > KEPT && pane.childNodes.length > 1) {
      this.#length -= pane.firstChild?.textContent?.length ?? 0;
      pane.firstChild?.remove();
    }
    if (follows) pane.scrollTop = pane.scrollHeight;
  }

  /** @param {string} stream @param {string} text */
  #append(stream, text) {
    const last = this.pane.lastElementChild;
    // Pieces of a bounded size, so that old ones can go.
    const open = last?.className === stream && (last.textContent?.length ?? 0) < 4096 ? last : null;
    const before = open?.textContent ?? "";
    const after = returnCarriages(before + text);
    this.#length += after.length - before.length;
    if (open) {
      open.textContent = after;
      return;
    }
    const piece = document.createElement("span");
    piece.className = stream;
    piece.textContent = after;
    this.pane.append(piece);
  }
}

/** As on a terminal, what follows a carriage return replaces the line. @param {string} text */
function returnCarriages(text) {
  return text.includes("\r") ? text.replace(/\r\n/g, "\n").replace(/[^\n]*\r(?=[^\n])/g, "") : text;
}
