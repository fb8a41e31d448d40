/**
 * The server counts positions in a search in bytes of UTF-8, JavaScript in units of UTF-16.
 */
const encoder = new TextEncoder();

/** Byte offset of a position in text. */
export function toBytes(text: string, position: number): number {
  return encoder.encode(text.slice(0, position)).length;
}

/** Position of a byte offset in text; an offset beyond the end is the end. */
export function fromBytes(text: string, offset: number): number {
  let bytes = 0;
  let position = 0;
  for (const char of text) {
    if (bytes >= offset) break;
    bytes += encoder.encode(char).length;
    position += char.length;
  }
  return position;
}
