import { describe, expect, it } from "vitest";
import type { Record } from "../api/types";
import { endpoint, labelOf, nameOf, sizeOf, statusOf, summaryOf, valueAt } from "./record";

const base = { id: "0".repeat(32), time: "2026-11-20T00:00:00Z" };
const http: Record = {
  ...base,
  kind: "http",
  decrypted: "yes",
  tls: { sni: "sni.example", version: "TLS 1.3" },
  http: {
    tx: 0,
    method: "GET",
    url: "/a",
    host: "h.example",
    status: 200,
    request: { size: 3 },
    response: { size: 4 },
  },
};
const dns: Record = {
  ...base,
  kind: "dns",
  dns: { tx: 0, id: 1, name: "a.example", type: "A", addresses: ["192.0.2.1"], code: "NOERROR" },
};
const tls: Record = {
  ...base,
  kind: "tls",
  decrypted: "no",
  reason: "no_key",
  tls: { sni: "s.example", version: "TLS 1.3", alpn: "h2" },
};

const coverage: Record = {
  ...base,
  kind: "coverage",
  process: { pid: 7, uid: 0, name: "java" },
  coverage: { state: "not_covered", reason: "unknown_library", detail: "its TLS is Java's own" },
};

it("labels", () => {
  expect([http, tls, dns, { ...http, decrypted: "partial" } satisfies Record, coverage].map(labelOf)).toEqual([
    "decrypted",
    "not_decrypted",
    "plaintext",
    "partial",
    undefined,
  ]);
});

it.each(["unreachable", "guarded", "blocked_by_policy"])(
  "does not call plaintext what nobody was connected to: %s",
  (reason) => {
    const refused: Record = { ...base, kind: "conn", reason, conn: { asked: "a.example", duration_us: 1 } };
    expect(labelOf(refused)).toBe("not_connected");
    expect(labelOf({ ...refused, decrypted: "no", tls: { sni: "a.example" } })).toBe("not_decrypted");
  },
);

describe("a line of the table", () => {
  it.each([
    ["http", http, { field: "http.host", value: "h.example" }, { field: "http.status", value: "200" }, 7, "GET /a"],
    [
      "dns",
      dns,
      { field: "dns.name", value: "a.example" },
      { field: "dns.code", value: "NOERROR" },
      undefined,
      "A a.example → 192.0.2.1",
    ],
    [
      "mail",
      {
        ...base,
        kind: "smtp",
        smtp: {
          tx: 0,
          helo: "c.example",
          mail_from: "a@x",
          rcpt_to: ["b@y", "c@y"],
          code: 250,
          message: { subject: "Hello", size: 9 },
        },
      } satisfies Record,
      undefined,
      { field: "smtp.code", value: "250" },
      9,
      "a@x → b@y, c@y Hello",
    ],
    [
      "refused login",
      {
        ...base,
        kind: "smtp",
        smtp: { tx: 0, auth_mechanism: "PLAIN", user: "root", login: "refused", code: 535 },
      } satisfies Record,
      undefined,
      { field: "smtp.code", value: "535" },
      0,
      "PLAIN root refused",
    ],
    [
      "ftp",
      {
        ...base,
        kind: "ftp",
        ftp: { tx: 1, command: "RETR", argument: "a.zip", code: 226, reply: ["150 ok", "226 done"] },
      } satisfies Record,
      undefined,
      { field: "ftp.code", value: "226" },
      undefined,
      "RETR a.zip",
    ],
    [
      "ftp greeting",
      { ...base, kind: "ftp", ftp: { tx: 0, code: 220, reply: ["220 ready"] } } satisfies Record,
      undefined,
      { field: "ftp.code", value: "220" },
      undefined,
      "220 ready",
    ],
    [
      "ftp transfer",
      {
        ...base,
        kind: "ftp_data",
        ftp_data: { command: "RETR", name: "a.zip", path: "/pub/a.zip", type: "application/zip", size: 9 },
      } satisfies Record,
      undefined,
      undefined,
      9,
      "RETR /pub/a.zip application/zip",
    ],
    [
      "coverage",
      coverage,
      { field: "process.name", value: "java" },
      undefined,
      undefined,
      "not_covered unknown_library its TLS is Java's own",
    ],
    [
      "a connection that nobody was there for",
      { ...base, kind: "conn", proto: "tcp", conn: { asked: "nowhere.example" } } as Record,
      { field: "conn.asked", value: "nowhere.example" },
      undefined,
      0,
      "tcp",
    ],
    ["tls", tls, { field: "tls.sni", value: "s.example" }, undefined, 0, "TLS 1.3 h2"],
  ])("%s", (_, record, name, status, size, summary) => {
    expect(nameOf(record)).toEqual(name);
    expect(statusOf(record)).toEqual(status);
    expect(sizeOf(record)).toBe(size);
    expect(summaryOf(record)).toBe(summary);
  });
});

it("writes endpoints", () => {
  expect(endpoint({ ip: "192.0.2.1", port: 443 })).toBe("192.0.2.1:443");
  expect(endpoint({ ip: "2001:db8::1", port: 443 })).toBe("[2001:db8::1]:443");
  expect(endpoint(undefined)).toBe("");
});

it("reads values by path", () => {
  expect(valueAt(http, "http.response.size")).toBe("4");
  expect(valueAt(dns, "dns.addresses")).toBe("192.0.2.1");
  expect(valueAt(dns, "http.response.size")).toBe("");
  expect(valueAt(http, "constructor.name")).toBe("");
});
