/** Splits "name: value". The names of HTTP/2's pseudo-headers begin with a colon. */
export function splitHeader(header: string): [name: string, value: string] {
  const colon = header.indexOf(":", 1);
  if (colon < 0) return [header, ""];
  return [header.slice(0, colon), header.slice(colon + 1).trim()];
}

/** The value of the first header of that name, empty if there is none. */
export function headerOf(headers: string[], name: string): string {
  for (const header of headers) {
    const [key, value] = splitHeader(header);
    if (key.toLowerCase() === name) return value;
  }
  return "";
}
