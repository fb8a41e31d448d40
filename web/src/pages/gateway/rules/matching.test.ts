import { expect, it } from "vitest";
import { matching } from "./matching";

const applications = [
  { id: "google-drive", name: "Google Drive", kind: "storage", urls: ["drive.google.com", "docs.google.com"] },
  { id: "dropbox", name: "Dropbox", kind: "storage", urls: ["*.dropboxapi.com"] },
];

it.each([
  ["", ["google-drive", "dropbox"]],
  [" STORAGE ", ["google-drive", "dropbox"]],
  ["docs drive", ["google-drive"]],
  ["dropboxapi", ["dropbox"]],
  ["docs dropbox", []],
])("finds by %j", (words, ids) => expect(matching(applications, words).map((a) => a.id)).toEqual(ids));
