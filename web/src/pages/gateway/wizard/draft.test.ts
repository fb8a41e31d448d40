import { describe, expect, it } from "vitest";
import { draftOf, idOf, newScope, policyOf, scopeOf, unitsOf, stepOf, withoutEmpty } from "./draft";

describe("a draft", () => {
  it("becomes the policy that it was made of", () => {
    const policy = {
      ...{ id: "office", name: "The office", description: "", authority: "root", disabled: false },
      scopes: [
        {
          ...{ id: "web", description: "browsers", allow_quic: true },
          ...{ sources: ["10.1.0.0/16", "2001:db8::/32"], source_ports: ["0/65535"] },
          ...{ destinations: ["0.0.0.0/0"], destination_ports: ["443/443", "8443/8450"] },
        },
      ],
      cases: {
        bad_certificate: "block",
        client_certificate: "",
        unsupported: "",
        no_name: "",
        pinned: "",
        not_tls: "bypass",
        over_capacity: "",
      },
    };
    expect(policyOf(draftOf(policy as Parameters<typeof draftOf>[0]))).toEqual(policy);
  });

  it("is disabled at first, with one scope that has everything but sources", () => {
    const policy = policyOf(draftOf(undefined));
    expect(policy.disabled).toBe(true);
    expect(policy.scopes).toHaveLength(1);
    expect(unitsOf(scopeOf(newScope(1))).product).toBe(0);
  });
});

describe("the quota of a scope", () => {
  const scope = (sources: number, source: number, destinations: number, destination: number) => ({
    ...scopeOf(newScope(1)),
    sources: Array<string>(sources).fill("10.0.0.1"),
    source_ports: Array<string>(source).fill("1/2"),
    destinations: Array<string>(destinations).fill("10.0.0.2"),
    destination_ports: Array<string>(destination).fill("443/443"),
  });
  it.each([
    [scope(3, 1, 2, 2), 12],
    [scope(1000, 2, 10, 1), 20_000],
    [scope(3, 0, 2, 0), 6], // all source ports, and 443
    [scope(0, 1, 2, 2), 0],
  ])("is the product of its lists", (s, product) => expect(unitsOf(s).product).toBe(product));
});

it.each([
  ["The office", "the-office"],
  ["Büro (2. Stock)", "bu-ro-2.-stock"],
  ["办公室", ""],
  ["--x--", "x"],
  ["a".repeat(80), "a".repeat(64)],
])("makes of the name %s an id", (name, id) => expect(idOf(name)).toBe(id));

it("keeps problems of empty fields for later, and knows where each can be mended", () => {
  const draft = draftOf(undefined);
  const problem = (field: string) => ({ field, message: "" });
  const all = ["id", "authority", "scopes[0].sources", "scopes[0].source_ports", "cases.no_name"].map(problem);
  expect(withoutEmpty(all, draft).map((p) => p.field)).toEqual(["scopes[0].source_ports", "cases.no_name"]);
  expect(withoutEmpty(all, { ...draft, id: "-" })).toContainEqual(problem("id"));
  expect(withoutEmpty(all, { ...draft, authority: "gone" })).toContainEqual(problem("authority"));
  expect(all.map(stepOf)).toEqual([0, 0, 1, 1, 1]);
});
