/** The part of the gateway's pages that an address belongs to. */
export function partOf(path: string): string | undefined {
  const part = path.split("/")[2];
  return part === "new-policy" ? "policies" : part;
}
