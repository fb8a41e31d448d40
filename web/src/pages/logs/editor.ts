import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  completionStatus,
  moveCompletionSelection,
  selectedCompletionIndex,
  startCompletion,
  type CompletionContext,
  type CompletionResult,
} from "@codemirror/autocomplete";
import { history, historyKeymap, standardKeymap } from "@codemirror/commands";
import { setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { EditorState, Prec, type Extension } from "@codemirror/state";
import { EditorView, keymap, placeholder, tooltips } from "@codemirror/view";
import type { Mistake } from "../../api/client";
import { complete } from "../../api/queries";
import { nonce } from "../../components/nonce";
import { fromBytes, toBytes } from "../../format/offset";
import { visible } from "../../format/visible";
import { highlighting } from "./language";

interface Handlers {
  run: (q: string) => void;
  /** The search before or after the present one among those that were typed. */
  recall: (step: 1 | -1) => string | undefined;
  changed: () => void;
}

/** The extensions that make an editor a search box of one line. */
export function searchBox(label: string, hint: string, on: Handlers): Extension {
  return [
    EditorView.cspNonce.of(nonce),
    EditorState.transactionFilter.of((tr) => (tr.newDoc.lines > 1 ? [] : tr)),
    // What is pasted may have several lines: they become one.
    EditorView.clipboardInputFilter.of((text) => text.replace(/\s*[\r\n]+\s*/g, " ")),
    EditorView.contentAttributes.of({
      "aria-label": label,
      spellcheck: "false",
      autocapitalize: "none",
      autocorrect: "off",
    }),
    EditorView.lineWrapping,
    placeholder(hint),
    history(),
    closeBrackets(),
    highlighting,
    autocompletion({ override: [completions], icons: false, selectOnOpen: false, maxRenderedOptions: 50 }),
    tooltips({ position: "fixed" }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) on.changed();
    }),
    EditorView.domEventHandlers({ beforeinput: replaceSelection }),
    Prec.high(keymap.of([{ key: "Tab", run: acceptFirst }])),
    keymap.of([
      { key: "Enter", run: (view) => (on.run(view.state.doc.toString()), true) },
      { key: "Mod-Space", run: startCompletion },
      { key: "ArrowUp", run: (view) => recall(view, on.recall(1)) },
      { key: "ArrowDown", run: (view) => recall(view, on.recall(-1)) },
      { key: "Escape", run: (view) => (view.contentDOM.blur(), true) },
      ...historyKeymap,
      ...standardKeymap,
    ]),
  ];
}

/**
 * Typing over a selection: left to itself the browser would give the new text the colour of the old one by a style attribute,
 * which the page's policy forbids.
 */
function replaceSelection(event: InputEvent, view: EditorView): boolean {
  if (event.inputType !== "insertText" || event.data === null || view.composing || view.state.selection.main.empty)
    return false;
  event.preventDefault();
  view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type" });
  return true;
}

/** Tab takes the option that is chosen, or else the first: Enter is for running the search. */
function acceptFirst(view: EditorView): boolean {
  if (completionStatus(view.state) !== "active") return false;
  if (selectedCompletionIndex(view.state) === null) moveCompletionSelection(true)(view);
  return acceptCompletion(view);
}

function recall(view: EditorView, q: string | undefined): boolean {
  if (q !== undefined) setText(view, q);
  return true;
}

/** Puts a search into the box, the cursor behind it. */
export function setText(view: EditorView, text: string): void {
  const line = text.replace(/[\r\n]+/g, " ");
  if (view.state.doc.toString() === line) return;
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: line }, selection: { anchor: line.length } });
}

async function completions(context: CompletionContext): Promise<CompletionResult | null> {
  const text = context.state.doc.toString();
  const abort = new AbortController();
  context.addEventListener("abort", () => abort.abort());
  const found = await complete(text, toBytes(text, context.pos), abort.signal).catch(() => null);
  if (!found || found.options.length === 0) return null;
  const from = fromBytes(text, found.from);
  return {
    from,
    to: fromBytes(text, found.to),
    filter: false,
    options: found.options.map((o) => ({
      label: o.label,
      displayLabel: visible(o.label),
      type: o.type,
      ...(o.detail && { detail: o.detail }),
      apply: (view: EditorView, _option: unknown, start: number, end: number) =>
        insert(view, o.label, o.type, start, end),
    })),
  };
}

/** Writes the option and goes on to what can follow it. */
function insert(view: EditorView, label: string, type: string, from: number, to: number): void {
  const text = type === "field" ? `${label}:` : type === "operator" ? label : `${label} `;
  view.dispatch({
    changes: { from, to, insert: text },
    selection: { anchor: from + text.length },
    userEvent: "input.complete",
  });
  if (type === "field" || type === "operator") startCompletion(view);
}

/** Underlines the place of a mistake; the suggestion is one click away. undefined takes the underline off. */
export function showMistake(view: EditorView, mistake: Mistake | undefined, fix: (suggestion: string) => string): void {
  const diagnostics: Diagnostic[] = [];
  if (mistake) {
    const text = view.state.doc.toString();
    const from = Math.min(fromBytes(text, mistake.start), text.length);
    const to = Math.max(from, Math.min(fromBytes(text, mistake.end), text.length));
    const { suggestion } = mistake;
    diagnostics.push({
      from: from === to ? Math.max(0, from - 1) : from,
      to,
      severity: "error",
      message: visible(mistake.message),
      ...(suggestion && {
        actions: [{ name: fix(suggestion), apply: (v: EditorView) => replace(v, mistake, suggestion) }],
      }),
    });
  }
  view.dispatch(setDiagnostics(view.state, diagnostics));
}

/** Writes the suggestion where the mistake is. */
export function replace(view: EditorView, mistake: Mistake, suggestion: string): void {
  const text = view.state.doc.toString();
  view.dispatch({
    changes: { from: fromBytes(text, mistake.start), to: fromBytes(text, mistake.end), insert: suggestion },
  });
}
