import { expect, it } from "vitest";
import { partOf } from "./parts";

it.each([
  ["/gateway/policies", "policies"],
  ["/gateway/policies/office", "policies"],
  ["/gateway/new-policy", "policies"],
  ["/gateway/certificates/office/rhel", "certificates"],
  ["/gateway", undefined],
])("knows which part %s belongs to", (path, part) => expect(partOf(path)).toBe(part));
