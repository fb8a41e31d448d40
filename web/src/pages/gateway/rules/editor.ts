import { history, historyKeymap, standardKeymap } from "@codemirror/commands";
import { EditorState, type Extension } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { nonce } from "../../../components/nonce";

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
      if (update.docChanged) changed(update.state.doc.toString());
    }),
    keymap.of([...historyKeymap, ...standardKeymap]),
  ];
}

/** Puts other text in the place of all that stands there. */
export function setText(view: EditorView, text: string): void {
  if (view.state.doc.toString() === text) return;
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
}

/** Selects a line, counted from 1, and shows it. */
export function goTo(view: EditorView, number: number): void {
  const { from, to } = view.state.doc.line(Math.min(number, view.state.doc.lines));
  view.dispatch({ selection: { anchor: from, head: to }, scrollIntoView: true });
  view.focus();
}
