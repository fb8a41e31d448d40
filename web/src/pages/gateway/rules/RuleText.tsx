import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { useEffect, useImperativeHandle, useRef, type Ref } from "react";
import { goTo, ruleEditor, setText } from "./editor";

/** What can be asked of the editor while it is shown. */
export interface RuleTextHandle {
  focus: () => void;
  goTo: (line: number) => void;
}

interface Props {
  label: string;
  /** Lines end with a line feed alone. */
  text: string;
  change: (text: string) => void;
  writable: boolean;
  ref: Ref<RuleTextHandle>;
}

/** Where rules are written. */
export function RuleText({ label, text, change, writable, ref }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const latest = useRef({ text, change });
  useEffect(() => {
    latest.current = { text, change };
  });
  useEffect(() => {
    if (!place.current) return;
    const extensions = ruleEditor(label, writable, (now) => latest.current.change(now));
    const made = new EditorView({
      parent: place.current,
      state: EditorState.create({ doc: latest.current.text, extensions }),
    });
    view.current = made;
    return () => {
      made.destroy();
      view.current = null;
    };
  }, [label, writable]);
  useEffect(() => {
    if (view.current) setText(view.current, text);
  }, [text]);
  useImperativeHandle(ref, () => ({
    focus: () => view.current?.focus(),
    goTo: (line) => view.current && goTo(view.current, line),
  }));
  return <div ref={place} className="rule-text" />;
}
