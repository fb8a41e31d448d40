/** Bytes in base64. */
export function base64Of(bytes: ArrayBuffer | undefined): string {
  let text = "";
  for (const byte of new Uint8Array(bytes ?? new ArrayBuffer(0))) text += String.fromCharCode(byte);
  return btoa(text);
}
