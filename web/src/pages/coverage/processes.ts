import type { ProcessCoverage } from "../../api/types";

export const columns = ["process", "state", "library", "container", "since", "bytes"] as const;
export type Column = (typeof columns)[number];

export interface Order {
  column: Column;
  descending: boolean;
}

/** Numbers and times are wanted from the top: a first click sorts them downwards. */
const downwards = new Set<Column>(["since", "bytes"]);

/** The order after a click on a column. */
export function next(order: Order, column: Column): Order {
  if (order.column === column) return { column, descending: !order.descending };
  return { column, descending: downwards.has(column) };
}

export type Shown = "all" | "covered" | "partly_covered" | "not_covered";

export function withState(list: ProcessCoverage[], shown: Shown): ProcessCoverage[] {
  return shown === "all" ? list : list.filter((c) => c.state === shown);
}

/** Everything that a person may look for a process by. */
function textOf({ process: p, container: c, ...coverage }: ProcessCoverage): string {
  return [
    ...[p.name, p.pid, p.exe, p.command_line, c?.id, c?.image, c?.pod, c?.namespace],
    ...[coverage.library, coverage.version, coverage.path, coverage.reason, coverage.detail],
  ]
    .filter((part) => part !== undefined)
    .join("\n")
    .toLowerCase();
}

/** Those in which each of the words occurs somewhere. */
export function matching(list: ProcessCoverage[], words: string): ProcessCoverage[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return list;
  return list.filter((c) => {
    const text = textOf(c);
    return wanted.every((word) => text.includes(word));
  });
}

const collator = new Intl.Collator("en", { numeric: true });

/** What a container is called: its pod, else its image, else its id. */
export function containerName(c: ProcessCoverage["container"]): string {
  if (!c) return "";
  if (c.pod) return c.namespace ? `${c.namespace}/${c.pod}` : c.pod;
  return c.image ?? c.id?.slice(0, 12) ?? "";
}

/** What is not covered is what people come for. */
const states: ProcessCoverage["state"][] = ["not_covered", "partly_covered", "covered", "ended"];

const compare: { [C in Column]: (a: ProcessCoverage, b: ProcessCoverage) => number } = {
  process: (a, b) => collator.compare(a.process.name ?? "", b.process.name ?? ""),
  state: (a, b) =>
    states.indexOf(a.state) - states.indexOf(b.state) || collator.compare(a.reason ?? "", b.reason ?? ""),
  library: (a, b) => collator.compare(libraryOf(a), libraryOf(b)),
  container: (a, b) => collator.compare(containerName(a.container), containerName(b.container)),
  since: (a, b) => Date.parse(a.since) - Date.parse(b.since),
  bytes: (a, b) => a.bytes - b.bytes,
};

/** Name and version, as in openssl 3.0.19; versions of Go have the name in them. */
export function libraryOf({ library = "", version = "" }: { library?: string; version?: string }): string {
  return [library, version.startsWith(library) ? version.slice(library.length) : version].filter(Boolean).join(" ");
}

/** Processes of one program of which the same is to be said. As a whole they have the time of the first and the bytes of all. */
export interface Group extends ProcessCoverage {
  key: string;
  members: ProcessCoverage[];
}

/** What is the same for all members of a group. */
function keyOf({ process: p, container, library, version, path, state, reason, cause }: ProcessCoverage): string {
  return JSON.stringify([p.exe ?? p.name, container?.id, library, version, path, state, reason, cause]);
}

/** One group for each program, library and state, its members in the order of their process ids. */
export function grouped(list: ProcessCoverage[]): Group[] {
  const groups = new Map<string, Group>();
  for (const c of list.toSorted((a, b) => a.process.pid - b.process.pid)) {
    const key = keyOf(c);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, { ...c, key, members: [c] });
      continue;
    }
    group.members.push(c);
    group.bytes += c.bytes;
    if (compare.since(c, group) < 0) group.since = c.since;
  }
  return [...groups.values()];
}

/** The name that all members have, else the name of their program's file. */
export function programOf({ process: p, members }: Group): string {
  const same = members.every((c) => c.process.name === p.name);
  return (same ? p.name : p.exe?.slice(p.exe.lastIndexOf("/") + 1)) ?? "";
}

/** Sorted anew; what is equal stays in the order of names and process ids. */
export function sorted<C extends ProcessCoverage>(list: C[], { column, descending }: Order): C[] {
  const sign = descending ? -1 : 1;
  return list.toSorted(
    (a, b) => sign * compare[column](a, b) || compare.process(a, b) || a.process.pid - b.process.pid,
  );
}
