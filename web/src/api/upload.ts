import { APIError, problem } from "./client";

export interface Upload {
  captures: File[];
  keylogs: File[];
}

/**
 * Uploads captures and key logs as one import. fetch can't tell how far an upload is, so this is an XMLHttpRequest.
 * The promise is rejected with an APIError, or with the signal's reason if it was aborted.
 */
export function upload(
  { captures, keylogs }: Upload,
  progress: (share: number) => void,
  signal: AbortSignal,
): Promise<string> {
  const form = new FormData();
  // Key logs first: the server reads the parts in order.
  for (const file of keylogs) form.append("keylog", file);
  for (const file of captures) form.append("capture", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.upload.onprogress = (event) => progress(event.total > 0 ? event.loaded / event.total : 0);
    request.onload = () => {
      const body = parsed(request.responseText);
      if (request.status === 202) resolve((body as { id: string }).id);
      else reject(problem(request.status, body));
    };
    request.onerror = () => reject(new APIError(0, ""));
    request.onabort = () => reject(signal.reason as Error);
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.open("POST", "/api/v1/imports");
    request.send(form);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const keylogLine = /^(#|CLIENT_|SERVER_|EXPORTER_|EARLY_|RSA |ECH_)/;

/** Says whether a file is a key log, by its first bytes: names are no guide. */
export async function isKeylog(file: File): Promise<boolean> {
  return keylogLine.test(await file.slice(0, 64).text());
}
