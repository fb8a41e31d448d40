import { expect, it } from "vitest";
import type { ProcessCoverage } from "../../api/types";
import { containerName, grouped, libraryOf, matching, next, programOf, sorted, withState } from "./processes";

const entry = (name: string, pid: number, rest: Partial<ProcessCoverage> = {}): ProcessCoverage => ({
  process: { name, pid, uid: 0, exe: `/usr/bin/${name}`, command_line: `${name} --serve` },
  state: "covered",
  since: "2026-11-20T12:00:00Z",
  bytes: 0,
  ...rest,
});

const curl = entry("curl", 30, { library: "openssl", version: "3.0.19", bytes: 5, since: "2026-11-20T12:00:02Z" });
const java = entry("java", 4, { state: "not_covered", reason: "unknown_library", container: { pod: "shop-1" } });
const node = entry("node", 100, { library: "boringssl", bytes: 5, since: "2026-11-20T12:00:01Z" });
const curl2 = entry("curl", 7, { state: "not_covered", reason: "excluded" });
const all = [curl, java, node, curl2];
const gnutls = entry("chromium", 9, { state: "partly_covered", reason: "beside_unseen", library: "gnutls" });

it.each([
  ["", [curl, java, node, curl2]],
  ["CURL", [curl, curl2]],
  ["shop-1", [java]],
  ["open 3.0", [curl]],
  ["unknown_library java", [java]],
  ["30", [curl]],
  ["nothing", []],
])("finds processes by %j", (words, want) => expect(matching(all, words)).toEqual(want));

it("groups processes of one program of which the same is to be said", () => {
  const worker = { library: "openssl", version: "3.0.19", bytes: 7, since: "2026-11-20T11:00:00Z" };
  const groups = grouped([...all, entry("curl", 2, worker)]);
  expect(groups.map((g) => g.members.map((c) => c.process.pid))).toEqual([[2, 30], [4], [7], [100]]);
  expect(groups[0]).toMatchObject({ bytes: 12, since: "2026-11-20T11:00:00Z", state: "covered" });
  expect(sorted(groups, { column: "bytes", descending: true })[0]).toBe(groups[0]);
});

it("keeps programs in different containers apart", () =>
  expect(grouped([curl, { ...curl, container: { id: "a" } }, { ...curl, container: { id: "b" } }])).toHaveLength(3));

it.each([
  [["curl", "curl"], "curl"],
  [["Web Content", "RDD Process"], "firefox-esr"],
])("names the program of %j", (names, want) => {
  const exe = "/usr/lib/firefox-esr/firefox-esr";
  const processes = names.map((name, pid) => ({ ...entry(name, pid), process: { name, pid, uid: 0, exe } }));
  expect(grouped(processes).map(programOf)).toEqual([want]);
});

it("tells what is covered from what is not", () => {
  expect(withState(all, "not_covered")).toEqual([java, curl2]);
  expect(withState(all, "covered")).toEqual([curl, node]);
  expect(withState(all, "all")).toEqual(all);
  expect(withState([...all, gnutls], "covered")).toEqual([curl, node]);
  expect(withState([...all, gnutls], "partly_covered")).toEqual([gnutls]);
});

it.each([
  ["process", false, [curl2, curl, java, node]],
  ["state", false, [curl2, java, curl, node]],
  ["bytes", true, [curl, node, curl2, java]],
  ["since", true, [curl, node, curl2, java]],
  ["container", true, [java, curl2, curl, node]],
  ["library", true, [curl, node, curl2, java]],
] as const)("sorts by %s, downwards: %s", (column, descending, want) =>
  expect(sorted(all, { column, descending })).toEqual(want),
);

it("sorts what is seen in part behind what is not seen", () => {
  const list = sorted([curl, gnutls, java], { column: "state", descending: false });
  expect(list).toEqual([java, gnutls, curl]);
});

it("sorts numbers downwards first, and turns round at the second click", () => {
  const first = next({ column: "process", descending: false }, "bytes");
  expect(first).toEqual({ column: "bytes", descending: true });
  expect(next(first, "bytes")).toEqual({ column: "bytes", descending: false });
  expect(next(first, "library")).toEqual({ column: "library", descending: false });
});

it.each([
  [undefined, ""],
  [{ pod: "shop-1", namespace: "store", image: "i" }, "store/shop-1"],
  [{ pod: "shop-1" }, "shop-1"],
  [{ image: "debian:12", id: "0123456789abcdef" }, "debian:12"],
  [{ id: "0123456789abcdef" }, "0123456789ab"],
])("names the container %j", (container, want) => expect(containerName(container)).toBe(want));

it.each([
  [{ library: "openssl", version: "3.0.19" }, "openssl 3.0.19"],
  [{ library: "go", version: "go1.26.8" }, "go 1.26.8"],
  [{ library: "boringssl" }, "boringssl"],
  [{}, ""],
])("names the library %j", (library, want) => expect(libraryOf(library)).toBe(want));
