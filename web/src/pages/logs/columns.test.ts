import { expect, it } from "vitest";
import type { Record } from "../../api/types";
import { cellOf, narrowest, offered, template } from "./columns";

const record: Record = {
  id: "1",
  time: "2026-11-20T00:00:00Z",
  kind: "http",
  client: { ip: "192.0.2.1", port: 4711 },
  http: { tx: 0, method: "GET", url: "/x", host: "a.example", status: 404 },
  tls: { ja4: "t13d" },
  container: { id: "0123", image: "shop:1" },
};

it.each([
  ["client", { text: "192.0.2.1:4711", cell: { field: "client.ip", value: "192.0.2.1" } }],
  ["server", { text: "" }],
  ["name", { text: "a.example", cell: { field: "http.host", value: "a.example" } }],
  ["summary", { text: "GET /x" }],
  ["status", { text: "404", cell: { field: "http.status", value: "404" } }],
  ["process", { text: "" }],
  ["container", { text: "shop:1", cell: { field: "container.image", value: "shop:1" } }],
  ["tls.ja4", { text: "t13d", cell: { field: "tls.ja4", value: "t13d" } }],
  ["tls.ja3", { text: "" }],
])("%s", (column, want) => expect(cellOf(record, column)).toEqual(want));

it("gives every column a width", () => {
  expect(template(["time", "tls.ja4"])).toBe("176px minmax(130px, 1fr)");
  expect(narrowest(["time", "tls.ja4"])).toBe(306);
});

it("offers no bodies", () => {
  const field = (name: string, type: "bytes" | "string") => ({ name, type, doc: "" });
  expect(
    offered([field("http.request.body", "bytes"), field("time", "string"), field("tls.sni", "string")]).map(
      (f) => f.name,
    ),
  ).toEqual(["tls.sni"]);
});
