import type { Field, Record } from "../../api/types";
import { endpoint, nameOf, sizeOf, statusOf, summaryOf, valueAt, type Cell } from "../../format/record";

/** Columns that are made of several fields, in the order in which they are offered. Any field can be a column too. */
export const composed = [
  "time",
  "kind",
  "decrypted",
  "client",
  "server",
  "name",
  "summary",
  "status",
  "size",
  "process",
  "container",
] as const;

/** Those that the table has unless a person chooses others. */
export const usual: string[] = composed.filter((column) => column !== "container");

const widths: { [column: string]: string } = {
  time: "176px",
  kind: "100px",
  decrypted: "minmax(184px, 1fr)",
  client: "minmax(150px, 0.6fr)",
  server: "minmax(140px, 0.6fr)",
  name: "minmax(130px, 1.2fr)",
  summary: "minmax(190px, 2.4fr)",
  status: "88px",
  size: "76px",
  process: "90px",
  container: "minmax(130px, 0.8fr)",
};

/** The widths of columns as grid-template-columns. */
export function template(columns: string[]): string {
  return columns.map((c) => widths[c] ?? "minmax(130px, 1fr)").join(" ");
}

/** The width below which the table scrolls sideways, in pixels. */
export function narrowest(columns: string[]): number {
  return columns.reduce((sum, c) => sum + Number(/\d+/.exec(widths[c] ?? "130px")?.[0]), 0);
}

/** What a container is known by: its pod, else its image, else its id. */
function containerCell(c: Record["container"]): Cell | undefined {
  if (c?.pod) return { field: "container.pod", value: c.pod };
  if (c?.image) return { field: "container.image", value: c.image };
  return c?.id ? { field: "container.id", value: c.id } : undefined;
}

/** Content of a cell: text, and the field and value to search for it by, if there is one. */
export function cellOf(record: Record, column: string): { text: string; cell?: Cell } {
  const of = (cell: Cell | undefined) => (cell ? { text: cell.value, cell } : { text: "" });
  switch (column) {
    case "client":
    case "server": {
      const end = record[column];
      return end?.ip ? { text: endpoint(end), cell: { field: `${column}.ip`, value: end.ip } } : { text: "" };
    }
    case "name":
      return of(nameOf(record));
    case "summary":
      return { text: summaryOf(record) };
    case "status":
      return of(statusOf(record));
    case "size":
      return { text: sizeOf(record)?.toString() ?? "" };
    case "process":
      return of(record.process?.name ? { field: "process.name", value: record.process.name } : undefined);
    case "container":
      return of(containerCell(record.container));
    default: {
      const value = valueAt(record, column);
      return value === "" ? { text: "" } : { text: value, cell: { field: column, value } };
    }
  }
}

/** Fields that can be columns: bodies, headers and trailers come with single events only. */
export function offered(fields: Field[]): Field[] {
  const taken: readonly string[] = composed;
  return fields.filter((f) => f.type !== "bytes" && !/\.(headers|trailers)$/.test(f.name) && !taken.includes(f.name));
}
