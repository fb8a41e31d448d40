/**
 * Observed text is hostile: it may hold characters that cannot be seen, that reorder what is around them or that move a
 * terminal's cursor. Here it is cut into pieces that are safe to show as text nodes: plain ones, and names of what cannot be
 * seen (U+202E).
 */
export interface Piece {
  text: string;
  hidden: boolean;
}

/** Control characters, lone surrogates, line separators, interlinear marks, and all that Unicode says is not drawn: directional, zero-width, tags. */
const hidden = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]/gu;

const multiline = new Set(["\n", "\t"]);

function nameOf(char: string): string {
  return "U+" + (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
}

/** Cuts text into pieces. With lines set, newlines and tabs stay as they are and a carriage return before a newline goes. */
export function pieces(text: string, lines = false): Piece[] {
  const source = lines ? text.replaceAll("\r\n", "\n") : text;
  const out: Piece[] = [];
  let from = 0;
  for (const match of source.matchAll(hidden)) {
    if (lines && multiline.has(match[0])) continue;
    if (match.index > from) out.push({ text: source.slice(from, match.index), hidden: false });
    out.push({ text: nameOf(match[0]), hidden: true });
    from = match.index + match[0].length;
  }
  if (from < source.length) out.push({ text: source.slice(from), hidden: false });
  return out;
}

/** The same as one string, for places that can hold nothing else: tooltips, file names, labels. */
export function visible(text: string): string {
  return pieces(text)
    .map((p) => (p.hidden ? `[${p.text}]` : p.text))
    .join("");
}
