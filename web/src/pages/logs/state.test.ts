import { expect, it, vi } from "vitest";

vi.mock("../../components/preferences", () => ({}));
const { withSearch } = await import("./state");

it("remembers searches, the newest first and each once", () => {
  expect(withSearch(["a", "b"], "b")).toEqual(["b", "a"]);
  expect(withSearch(["a"], "  ")).toEqual(["a"]);
});

it("forgets the oldest", () => {
  const many = Array.from({ length: 40 }, (_, i) => `q${i}`).reduce<string[]>((h, q) => withSearch(h, q), []);
  expect(many).toHaveLength(30);
  expect(many[0]).toBe("q39");
});
