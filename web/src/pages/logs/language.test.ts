import { StringStream } from "@codemirror/language";
import { expect, it } from "vitest";
import { token } from "./language";

function tokens(text: string): string[] {
  const stream = new StringStream(text, 2, 2);
  const out: string[] = [];
  while (!stream.eol()) {
    stream.start = stream.pos;
    const kind = token(stream);
    if (kind) out.push(`${stream.current()}/${kind}`);
  }
  return out;
}

it.each([
  [
    "decrypted:yes and not http.status:>=400",
    "decrypted/propertyName :/operator yes/variableName and/keyword not/keyword http.status/propertyName :/operator >=/operator 400/number",
  ],
  [
    'http.host:*.example.com or "a \\" b',
    'http.host/propertyName :/operator */atom .example.com/variableName or/keyword "a \\" b/string',
  ],
  ["android (note:x)", "android/variableName (/operator note/propertyName :/operator x/variableName )/operator"],
  ["client.ip:10.0.0.0/8", "client.ip/propertyName :/operator 10.0.0.0/8/number"],
])("%s", (text, want) => expect(tokens(text).join(" ")).toBe(want));
