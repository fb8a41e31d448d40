import { HighlightStyle, StreamLanguage, syntaxHighlighting, type StringStream } from "@codemirror/language";
import { tags } from "@lezer/highlight";

/** What a piece of a search is, for its colour only: the server is the one that understands it. */
export function token(stream: Pick<StringStream, "match" | "next">): string | null {
  if (stream.match(/^\s+/)) return null;
  if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return "string";
  if (stream.match(/^(?:and|or|not|to)(?![\w.:])/i)) return "keyword";
  if (stream.match(/^[A-Za-z_][\w.]*(?=\s*(?::|[<>!]?=|[<>]))/)) return "propertyName";
  if (stream.match(/^(?::|[<>!]?=|[<>]|[()[\]])/)) return "operator";
  if (stream.match(/^[\d.:/]+(?![\w*?])/)) return "number";
  if (stream.match(/^[*?]/)) return "atom";
  if (stream.match(/^[^\s"()[\]:<>=*?]+/)) return "variableName";
  stream.next();
  return null;
}

const style = HighlightStyle.define([
  { tag: tags.keyword, class: "q-keyword" },
  { tag: tags.propertyName, class: "q-field" },
  { tag: tags.operator, class: "q-operator" },
  { tag: tags.string, class: "q-string" },
  { tag: tags.number, class: "q-number" },
  { tag: tags.atom, class: "q-wildcard" },
]);

export const highlighting = [StreamLanguage.define({ name: "vitrine-search", token }), syntaxHighlighting(style)];
