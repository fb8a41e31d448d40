/** A fingerprint as OpenSSL prints it: pairs of digits, upper case, with colons. */
export function fingerprintOf(hex: string): string {
  return (
    hex
      .replace(/[^0-9a-f]/gi, "")
      .toUpperCase()
      .match(/../g) ?? []
  ).join(":");
}
