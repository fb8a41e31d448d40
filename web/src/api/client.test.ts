import { describe, expect, it, vi } from "vitest";

vi.stubGlobal("location", { origin: "https://console.example" });
const { APIError, answer, problem } = await import("./client");

describe("problem", () => {
  it("tells where a search is wrong", () => {
    const err = problem(422, {
      type: "about:blank",
      errors: [{ message: "unknown field", location: "query.q", value: { start: 0, end: 4, suggestion: "http.host" } }],
    });
    expect(err.mistake).toEqual({ start: 0, end: 4, message: "unknown field", suggestion: "http.host" });
  });
  it("tells all that is wrong with a body, and where", () => {
    const err = problem(422, {
      type: "about:blank",
      detail: "validation failed",
      errors: [
        { message: "expected a number", location: "body.rules[0].pid" },
        { message: "too long", location: "body.rules[1].name" },
        { message: "odd", location: "body.rules[1].name" },
      ],
    });
    expect([...err.mistakes]).toEqual([
      ["body.rules[0].pid", "expected a number"],
      ["body.rules[1].name", "too long\nodd"],
    ]);
  });
  it.each([
    [
      "another parameter",
      { type: "", errors: [{ message: "too long", location: "query.since", value: "x" }] },
      "too long",
    ],
    [
      "a position that is none",
      { type: "", errors: [{ message: "odd", location: "query.q", value: { start: "0" } }] },
      "odd",
    ],
    ["a detail", { type: "", detail: "store is away" }, "store is away"],
    ["a page of a proxy", "<html>", ""],
    ["nothing", undefined, ""],
  ])("%s", (_, body, message) => {
    const err = problem(500, body);
    expect([err.message, err.mistake]).toEqual([message, undefined]);
  });
});

describe("answer", () => {
  const response = (status: number) => new Response(null, { status });
  it("returns the payload", async () => {
    expect(await answer(Promise.resolve({ data: 1, response: response(200) }))).toBe(1);
  });
  it("throws what the server said", async () => {
    await expect(answer(Promise.resolve({ error: { detail: "no" }, response: response(403) }))).rejects.toMatchObject({
      status: 403,
      message: "no",
    });
  });
  it("tells of no answer by status 0", async () => {
    await expect(answer(Promise.reject(new TypeError("fetch failed")))).rejects.toBeInstanceOf(APIError);
    await expect(answer(Promise.reject(new TypeError("fetch failed")))).rejects.toMatchObject({ status: 0 });
  });
});
