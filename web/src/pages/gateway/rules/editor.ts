import { history, historyKeymap, standardKeymap } from "@codemirror/commands";
import { Annotation, EditorState, type Extension } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { nonce } from "../../../components/nonce";

/** Marks changes that no person has made: whoever makes them knows of them. */
const given = Annotation.define<true>();

/** The extensions of an editor with numbered lines. Tab leaves it, so that the keyboard is enough. */
export function ruleEditor(label: string, writable: boolean, changed: (text: string) => void): Extension {
  return [
    EditorView.cspNonce.of(nonce),
    EditorState.readOnly.of(!writable),
    EditorView.contentAttributes.of({
      "aria-label": label,
      "aria-readonly": String(!writable),
      spellcheck: "false",
      autocapitalize: "none",
      autocorrect: "off",
    }),
    lineNumbers(),
    history(),
    EditorView.updateListener.of((update) => {
      const typed = !update.transactions.some((t) => t.annotation(given));
      if (update.docChanged && typed) changed(update.state.doc.toString());
    }),
    keymap.of([...historyKeymap, ...standardKeymap]),
  ];
}

/** Puts other text in the place of all that stands there. Nobody is told: it may be older than what was saved just now. */
export function setText(view: EditorView, text: string): void {
  if (view.state.doc.toString() === text) return;
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, annotations: given.of(true) });
}

/** Selects a line, counted from 1, and shows it. */
export function goTo(view: EditorView, number: number): void {
  const { from, to } = view.state.doc.line(Math.min(number, view.state.doc.lines));
  view.dispatch({ selection: { anchor: from, head: to }, scrollIntoView: true });
  view.focus();
}
