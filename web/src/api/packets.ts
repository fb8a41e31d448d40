import { APIError, problem } from "./client";

export type Form = "before" | "after";

/** Downloads the packets of a connection, so that an error can be told in words instead of being saved as a file. */
export async function downloadPackets(conn: string, form: Form, keys: boolean): Promise<void> {
  const address = `/api/v1/conns/${encodeURIComponent(conn)}/packets?form=${form}${keys ? "&keys=true" : ""}`;
  const response = await fetch(address).catch(() => {
    throw new APIError(0, "");
  });
  if (!response.ok) throw problem(response.status, await response.json().catch(() => undefined));
  save(await response.blob(), `${conn}-${form}${keys ? "-keys" : ""}.pcapng`);
}

/** Hands a file to the browser to save. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser reads it after this returns
}
