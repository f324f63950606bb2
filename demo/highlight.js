/**
 * Colours for Python: one regular expression, good for reading; it need not parse. Pure.
 * @module
 */

const KEYWORDS =
  "and as assert async await break case class continue def del elif else except finally for from global if import " +
  "in is lambda match nonlocal not or pass raise return try while with yield";

const TOKENS = new RegExp(
  [
    /(?<comment>#[^\n]*)/,
    /(?<string>[rbfuRBFU]{0,2}(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\[^]|[^"\\\n])*"?|'(?:\\[^]|[^'\\\n])*'?))/,
    /(?<number>\b(?:0[xXoObB][\da-fA-F_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][-+]?\d+)?)\b)/,
    new RegExp(`(?<keyword>\\b(?:${KEYWORDS.replaceAll(" ", "|")})\\b)`),
    /(?<constant>\b(?:None|True|False|self|[A-Z][A-Z\d_]+)\b)/,
    /(?<called>\b[a-zA-Z_]\w*(?=\())/,
    /(?<name>[a-zA-Z_]\w*)/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "g",
);

/**
 * The pieces of a program, each with its kind: comment, string, number, keyword, constant, called; empty for the rest.
 * @param {string} source
 * @returns {{kind: string, text: string}[]} their texts together are the source
 */
export function pieces(source) {
  /** @type {{kind: string, text: string}[]} */
  const found = [];
  let end = 0;
  for (const match of source.matchAll(TOKENS)) {
    if (match.index > end) found.push({ kind: "", text: source.slice(end, match.index) });
    const [kind] = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined) ?? [""];
    found.push({ kind: kind === "name" ? "" : kind, text: match[0] });
    end = match.index + match[0].length;
  }
  found.push({ kind: "", text: source.slice(end) });
  return found;
}
