import { HistoryOutlined, SearchOutlined } from "@ant-design/icons";
import { Button, Dropdown } from "antd";
import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { useEffect, useId, useRef } from "react";
import { useTranslation } from "react-i18next";
import type { Mistake } from "../../api/client";
import { usePreference } from "../../components/preferences";
import { Text } from "../../components/Text";
import { visible } from "../../format/visible";
import { replace, searchBox, setText, showMistake } from "./editor";
import { SearchHelp } from "./SearchHelp";
import { currentHistory, withSearch } from "./state";

interface Props {
  q: string;
  mistake: Mistake | undefined;
  run: (q: string) => void;
}

/** Where a search is written. Enter runs it, / comes here from anywhere, the arrows recall what was typed before. */
export function SearchBox({ q, mistake, run }: Props) {
  const { t } = useTranslation();
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const latest = useRef(run);
  const [history, setHistory] = usePreference("history");
  const problem = useId();
  useEffect(() => {
    latest.current = run;
  }, [run]);
  const submit = (text: string) => {
    setHistory(withSearch(currentHistory(), text));
    latest.current(text.trim());
  };

  useEffect(() => {
    if (!place.current) return;
    let at = -1;
    const handlers = {
      run: (text: string) => {
        at = -1;
        setHistory(withSearch(currentHistory(), text));
        latest.current(text.trim());
      },
      recall: (step: 1 | -1) => {
        const list = currentHistory();
        at = Math.max(-1, Math.min(list.length - 1, at + step));
        return at < 0 ? "" : list[at];
      },
      changed: () => showMistake(made, undefined, () => ""),
    };
    const made = new EditorView({
      parent: place.current,
      state: EditorState.create({ extensions: searchBox(t("logs.search"), t("logs.search_hint"), handlers) }),
    });
    view.current = made;
    const focus = (event: KeyboardEvent) => {
      const inField =
        event.target instanceof HTMLElement && event.target.closest("input, textarea, [contenteditable=true]");
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || inField) return;
      event.preventDefault();
      made.focus();
    };
    document.addEventListener("keydown", focus);
    return () => {
      document.removeEventListener("keydown", focus);
      made.destroy();
      view.current = null;
    };
  }, [t, setHistory]);

  useEffect(() => {
    if (view.current) setText(view.current, q);
  }, [q, t]);
  useEffect(() => {
    if (view.current && mistake)
      showMistake(view.current, mistake, (suggestion) => t("logs.fix", { suggestion: visible(suggestion) }));
  }, [mistake, t]);

  const fix = (suggestion: string) => {
    if (!view.current || !mistake) return;
    replace(view.current, mistake, suggestion);
    submit(view.current.state.doc.toString());
  };
  return (
    <div className="search">
      <div className={mistake ? "search-line search-wrong" : "search-line"} role="search">
        <SearchOutlined aria-hidden />
        <div ref={place} className="search-editor" />
        <Dropdown
          trigger={["click"]}
          placement="bottomRight"
          disabled={history.length === 0}
          menu={{
            items: history.map((h) => ({ key: h, label: <span className="history-item">{visible(h)}</span> })),
            onClick: ({ key }) => run(key),
          }}
        >
          <Button
            type="text"
            size="small"
            icon={<HistoryOutlined aria-hidden />}
            aria-label={t("logs.history")}
            title={t("logs.history")}
          />
        </Dropdown>
        <SearchHelp />
        <Button type="primary" size="small" onClick={() => submit(view.current?.state.doc.toString() ?? "")}>
          {t("logs.run")}
        </Button>
      </div>
      {mistake && (
        <p className="search-problem" id={problem} role="alert">
          <Text text={mistake.message} />
          {mistake.suggestion && (
            <Button size="small" type="link" onClick={() => fix(mistake.suggestion ?? "")}>
              {t("logs.fix", { suggestion: visible(mistake.suggestion) })}
            </Button>
          )}
        </p>
      )}
    </div>
  );
}
