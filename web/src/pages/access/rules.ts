import type { User } from "../../api/types";

/** What the server takes as the name of an account or a token. */
export const name = /^[A-Za-z0-9][A-Za-z0-9._@-]*$/;

export const shortestPassword = 12;

/** All roles, the one that may least first. */
export const roles: User["role"][] = ["viewer", "analyst", "admin"];

/** The roles that an account may give on: at most its own. */
export function rolesUpTo(role: User["role"]): User["role"][] {
  return roles.slice(0, roles.indexOf(role) + 1);
}

const day = 24 * 3600_000;

/** How long a token may live, in days; 0 is for ever. */
export const lifetimes = [7, 30, 90, 365, 0] as const;

/** The end of a token that is made now, if it has one. */
export function endOf(days: number, now: Date): string | undefined {
  return days === 0 ? undefined : new Date(now.getTime() + days * day).toISOString();
}

/** Says whether each of the words occurs somewhere in the texts. */
export function contains(texts: (string | undefined)[], words: string): boolean {
  const text = texts.join("\n").toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
