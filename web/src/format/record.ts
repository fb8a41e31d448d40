import type { Record } from "../api/types";

/** What the labels of a record say about its plaintext. */
export type Label = "decrypted" | "partial" | "not_decrypted" | "plaintext" | "not_connected";

/** The label of a record; none for what is of no connection. A reason alone, without decryption, says why the gateway connected to nobody. */
export function labelOf(record: Record): Label | undefined {
  if (record.kind === "coverage") return undefined;
  switch (record.decrypted) {
    case "yes":
      return "decrypted";
    case "partial":
      return "partial";
    case "no":
      return "not_decrypted";
    default:
      return record.reason ? "not_connected" : "plaintext";
  }
}

/** A value together with the field that holds it, so that a click on it can become a search. */
export interface Cell {
  field: string;
  value: string;
}

const cell = (field: string, value: string | undefined): Cell | undefined => (value ? { field, value } : undefined);

/** The name of the other side, as the record's kind has it. */
export function nameOf(r: Record): Cell | undefined {
  return (
    cell("http.host", r.http?.host) ??
    cell("dns.name", r.dns?.name) ??
    cell("websocket.host", r.websocket?.host) ??
    cell("file.host", r.file?.host) ??
    cell("tls.sni", r.tls?.sni) ??
    cell("conn.asked", r.conn?.asked) ??
    (r.coverage && cell("process.name", r.process?.name))
  );
}

/** The outcome: response status, response code, close code, reply code. */
export function statusOf(r: Record): Cell | undefined {
  return (
    cell("http.status", r.http?.status?.toString()) ??
    cell("dns.code", r.dns?.code) ??
    cell("websocket.close_code", r.websocket?.close_code?.toString()) ??
    cell("smtp.code", r.smtp?.code?.toString()) ??
    cell("ftp.code", r.ftp?.code?.toString())
  );
}

/** Bytes that the event carried, after decompression; of a connection, payload in both directions. */
export function sizeOf(r: Record): number | undefined {
  if (r.http) return (r.http.request?.size ?? 0) + (r.http.response?.size ?? 0);
  if (r.websocket) return r.websocket.size ?? 0;
  if (r.smtp) return r.smtp.message?.size ?? 0;
  if (r.ftp_data) return r.ftp_data.size ?? 0;
  if (r.file) return r.file.size;
  if (r.conn) return (r.conn.bytes_to_server ?? 0) + (r.conn.bytes_to_client ?? 0);
  if (r.unknown) return (r.unknown.bytes_to_server ?? 0) + (r.unknown.bytes_to_client ?? 0);
  if (r.kind === "tls") return r.tls?.plaintext_bytes ?? 0;
  return undefined;
}

/** One line that says what happened, in the words of its protocol. */
export function summaryOf(r: Record): string {
  const words = (...parts: (string | number | undefined)[]) =>
    parts.filter((p) => p !== undefined && p !== "").join(" ");
  if (r.http) return words(r.http.method, r.http.url);
  if (r.dns)
    return words(r.dns.type, r.dns.name, r.dns.addresses?.length ? "→ " + r.dns.addresses.join(", ") : r.dns.code);
  if (r.websocket) return words(r.websocket.opcode, r.websocket.direction === "to_server" ? "→" : "←", r.websocket.url);
  if (r.smtp) return mailOf(r.smtp);
  if (r.ftp) return r.ftp.command ? words(r.ftp.command, r.ftp.argument) : (r.ftp.reply?.[0] ?? "");
  if (r.ftp_data) return words(r.ftp_data.command, r.ftp_data.path ?? r.ftp_data.name, r.ftp_data.type);
  if (r.file) return words(r.file.name, r.file.type, r.file.url);
  if (r.finding) return words(r.finding.action, r.finding.name, r.finding.method, r.finding.host, r.finding.url);
  if (r.anomaly) return r.anomaly.code;
  if (r.coverage) {
    const { state, reason, library, version, detail } = r.coverage;
    return words(state, reason, library, version, detail);
  }
  if (r.conn) return words(r.proto, r.conn.protocols?.join(" › "));
  if (r.unknown) return words(r.proto, r.app_proto);
  return words(r.tls?.version, r.tls?.cipher, r.tls?.alpn);
}

/** Who wrote to whom, or who tried to log in. */
function mailOf({
  mail_from,
  rcpt_to,
  message,
  auth_mechanism,
  user,
  login,
  helo,
}: NonNullable<Record["smtp"]>): string {
  const parts = mail_from
    ? [mail_from, "→", rcpt_to?.join(", "), message?.subject]
    : [auth_mechanism ?? helo, user, login];
  return parts.filter(Boolean).join(" ");
}

/** 192.0.2.1:443 or [2001:db8::1]:443. */
export function endpoint(e: { ip: string; port: number } | undefined): string {
  if (!e?.ip) return "";
  return e.ip.includes(":") ? `[${e.ip}]:${e.port}` : `${e.ip}:${e.port}`;
}

/** The value at a dotted path of JSON names as one string; empty where the record lacks it. */
export function valueAt(record: Record, path: string): string {
  let at: unknown = record;
  for (const name of path.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return "";
    at = (at as { [name: string]: unknown })[name];
  }
  if (at === undefined || at === null) return "";
  if (Array.isArray(at)) return at.join(", ");
  return typeof at === "string" ? at : JSON.stringify(at);
}
