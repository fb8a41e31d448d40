import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Problem = components["schemas"]["ErrorModel"];

/** Where a search is wrong, in bytes of UTF-8, and what may have been meant. */
export interface Mistake {
  start: number;
  end: number;
  message: string;
  suggestion?: string;
}

/** An answer of the server that is not the one asked for. status is 0 where there was no answer. */
export class APIError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** Valid iff a search is wrong. */
    readonly mistake?: Mistake,
    /** Which part of the request is wrong, if one is. */
    readonly location?: string,
    /** All that is wrong, by its place in the request; what is wrong with one place stands on lines of its own. */
    readonly mistakes: ReadonlyMap<string, string> = new Map(),
  ) {
    super(message);
  }
}

export const client = createClient<paths>({ baseUrl: location.origin });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Waits for an answer and returns its payload, or throws an APIError. */
export async function answer<T>(request: Promise<Answer<T>>): Promise<T> {
  let result: Answer<T>;
  try {
    result = await request;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new APIError(0, "");
  }
  if (!result.response.ok) throw problem(result.response.status, result.error);
  return result.data as T;
}

/** The error that a problem+json document tells of. */
export function problem(status: number, body: unknown): APIError {
  const doc: Problem = typeof body === "object" && body !== null ? (body as Problem) : { type: "" };
  const detail = doc.errors?.[0];
  const mistakes = new Map<string, string>();
  for (const { location: at = "", message = "" } of doc.errors ?? [])
    mistakes.set(at, mistakes.has(at) ? `${mistakes.get(at)}\n${message}` : message);
  return new APIError(status, detail?.message ?? doc.detail ?? "", mistakeOf(detail), detail?.location, mistakes);
}

function mistakeOf(detail: components["schemas"]["ErrorDetail"] | undefined): Mistake | undefined {
  if (detail?.location !== "query.q") return undefined;
  const value = detail.value as Partial<Mistake> | undefined;
  if (typeof value?.start !== "number" || typeof value.end !== "number") return undefined;
  return {
    start: value.start,
    end: value.end,
    message: detail.message ?? "",
    ...(typeof value.suggestion === "string" && value.suggestion !== "" && { suggestion: value.suggestion }),
  };
}
