/**
 * A small editor: the browser's own text area, over the same text in colours.
 * @module
 */

import { pieces } from "./highlight.js";

const INDENT = "    ";

export class Editor {
  /** Tab leaves the editor once after Escape, so that the keyboard is not caught in it. */
  #tabLeaves = false;

  /**
   * @param {HTMLTextAreaElement} area
   * @param {HTMLElement} colours lies behind it
   * @param {HTMLElement} numbers of the lines
   */
  constructor(area, colours, numbers) {
    this.area = area;
    this.colours = colours;
    this.numbers = numbers;
    area.addEventListener("input", () => this.#show());
    area.addEventListener("keydown", (event) => this.#key(event));
  }

  get text() {
    return this.area.value;
  }

  set text(text) {
    this.area.value = text;
    this.area.setSelectionRange(0, 0);
    this.#show();
  }

  #show() {
    const spans = pieces(this.text).map(({ kind, text }) => {
      if (!kind) return text;
      const span = document.createElement("span");
      span.className = kind;
      span.textContent = text;
      return span;
    });
    this.colours.replaceChildren(...spans, "\n");
    const lines = this.text.split("\n").length;
    this.numbers.textContent = Array.from({ length: lines }, (_, index) => index + 1).join("\n");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (event.key === "Tab" && plain && !this.#tabLeaves) {
      event.preventDefault();
      if (event.shiftKey) this.#outdent();
      else this.#insert(INDENT);
    } else if (event.key === "Enter" && plain && !event.shiftKey) {
      event.preventDefault();
      this.#insert(`\n${this.#nextIndent()}`);
    }
    this.#tabLeaves = event.key === "Escape" || (this.#tabLeaves && event.key === "Shift");
  }

  /** The line up to the cursor. */
  get #lineBefore() {
    const before = this.text.slice(0, this.area.selectionStart);
    return before.slice(before.lastIndexOf("\n") + 1);
  }

  #nextIndent() {
    const line = this.#lineBefore;
    const indent = /^ */.exec(line)?.[0] ?? "";
    return /:\s*(#.*)?$/.test(line) ? indent + INDENT : indent;
  }

  #outdent() {
    const { area } = this;
    const line = this.#lineBefore;
    const spaces = Math.min(INDENT.length, /^ */.exec(line)?.[0].length ?? 0);
    if (!spaces) return;
    const cursor = area.selectionStart;
    area.setSelectionRange(cursor - line.length, cursor - line.length + spaces);
    this.#insert("");
    area.setSelectionRange(cursor - spaces, cursor - spaces);
  }

  /** Replace the selection. @param {string} text */
  #insert(text) {
    // Deprecated without a successor: nothing else lets the user undo it.
    document.execCommand(text ? "insertText" : "delete", false, text);
  }
}
