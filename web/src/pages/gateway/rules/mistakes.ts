/** What is wrong with the rules, and the line that it is about, counted from 1, where that is known. */
export interface RuleMistake {
  line: number | undefined;
  message: string;
}

/** The mistakes in a text of rules, as the server tells them: one a line. */
export function mistakesIn(text: string, told: string): RuleMistake[] {
  return told
    .split("\n")
    .filter((message) => message && !message.endsWith(" errors:")) // a heading of those that follow
    .map((message) => mistakeIn(text, message.replace(/^yaml: /, "")));
}

function mistakeIn(text: string, message: string): RuleMistake {
  const [, number, rest] = /^line (\d+): (.*)/.exec(message) ?? [];
  if (number !== undefined && rest !== undefined) return { line: Number(number), message: rest };
  const [, quoted, plain] = /^rule (?:"(.*?)"|(\S+)):/.exec(message) ?? [];
  return { line: lineOf(text, quoted ?? plain), message };
}

/** The last line that gives a rule this id: of two with the same one, the second is wrong. */
function lineOf(text: string, id: string | undefined): number | undefined {
  if (!id) return undefined;
  const at = text
    .split("\n")
    .findLastIndex((line) => /^[\s{-]*id:\s*["']?(.*?)["']?\s*(?:[,#].*)?$/.exec(line)?.[1] === id);
  return at < 0 ? undefined : at + 1;
}
