import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { useEffect, useRef, type RefObject } from "react";
import { ruleEditor, setText } from "./editor";

interface Props {
  label: string;
  /** Lines end with a line feed alone. */
  text: string;
  change: (text: string) => void;
  writable: boolean;
  /** Where to find the editor while it is shown. */
  view: RefObject<EditorView | null>;
}

/** Where rules are written. */
export function RuleText({ label, text, change, writable, view }: Props) {
  const place = useRef<HTMLDivElement>(null);
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
  }, [label, writable, view]);
  useEffect(() => {
    if (view.current) setText(view.current, text);
  }, [text, view]);
  return <div ref={place} className="rule-text" />;
}
