/** Turns the bytes of a body into what can be shown. */

export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** Images that a browser decodes to pixels only. SVG is not one: it is a document that may hold scripts. */
const rasters = [
  { type: "image/png", magic: "\u0089PNG\r\n\u001a\n" },
  { type: "image/jpeg", magic: "\u00ff\u00d8\u00ff" },
  { type: "image/gif", magic: "GIF87a" },
  { type: "image/gif", magic: "GIF89a" },
  { type: "image/webp", magic: "RIFF", at8: "WEBP" },
];

/** The media type of a safe image by its first bytes; what a header says does not count. */
export function rasterType(bytes: Uint8Array): string | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, 16));
  return rasters.find(({ magic, at8 = "" }) => head.startsWith(magic) && head.startsWith(at8, 8))?.type;
}

/** What text has none of: control characters but white space, and what stands for bytes that are no character. */
const strange = /(?![\t\n\f\r])[\p{Cc}\ufffd]/gu;

/** The text of a body in the charset that its content type names, else UTF-8. Undefined if it looks like no text. */
export function textOf(bytes: Uint8Array, contentType: string): string | undefined {
  const charset = /charset\s*=\s*"?([\w.:-]{1,40})/i.exec(contentType)?.[1] ?? "utf-8";
  const text = decoderOf(charset).decode(bytes);
  return (text.match(strange)?.length ?? 0) > text.length / 10 ? undefined : text;
}

function decoderOf(charset: string): TextDecoder {
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder(); // a name that no browser knows
  }
}

/** JSON on several lines, undefined if it is no JSON object or list. Numbers too long for JavaScript stay as they were sent. */
export function prettyJSON(text: string): string | undefined {
  if (!/^\s*[{[]/.test(text)) return undefined;
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  return indent(text);
}

function indent(text: string): string {
  let depth = 0;
  let out = "";
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s"[\]{},:]+/g)) {
    const line = () => "\n" + "  ".repeat(Math.min(depth, 40));
    if (token === "{" || token === "[") {
      depth++;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth--;
      out = /[{[]\s*$/.test(out.slice(-90)) ? out.trimEnd() + token : out + line() + token;
    } else if (token === ",") out += token + line();
    else if (token === ":") out += ": ";
    else out += token;
  }
  return out;
}

/** Lines of offset, sixteen bytes in hexadecimal, and the same as ASCII. */
export function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((b) => b.toString(16).padStart(2, "0"));
    const left = hex.slice(0, 8).join(" ").padEnd(23);
    const right = hex.slice(8).join(" ").padEnd(23);
    const ascii = row.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${left}  ${right}  ${ascii}`);
  }
  return lines.join("\n");
}
