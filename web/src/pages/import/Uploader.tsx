import { InboxOutlined } from "@ant-design/icons";
import { Alert, Button, Progress } from "antd";
import { useId, useRef, useState, type DragEvent } from "react";
import { useTranslation } from "react-i18next";
import { isKeylog } from "../../api/upload";
import { useFormat } from "../../components/format";
import { useErrorText } from "../../components/errors";
import { ChosenFiles, type Chosen } from "./ChosenFiles";
import { useUpload } from "./useUpload";

/** Where files are dropped or chosen, told apart and sent. */
export function Uploader({ done }: { done: () => unknown }) {
  const { t } = useTranslation();
  const { percent } = useFormat();
  const text = useErrorText();
  const [chosen, setChosen] = useState<Chosen[]>([]);
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const hint = useId();
  const upload = useUpload(() => {
    setChosen([]);
    done();
  });
  const add = async (files: FileList | null) => {
    const list = [...(files ?? [])];
    const told = await Promise.all(list.map(async (file) => ({ file, keylog: await isKeylog(file) })));
    setChosen((before) => [...before, ...told]);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void add(event.dataTransfer.files);
  };
  const captures = chosen.filter((c) => !c.keylog);
  const busy = upload.progress !== undefined;
  return (
    <section className="card uploader">
      <div
        className={over ? "drop drop-over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <InboxOutlined aria-hidden className="drop-icon" />
        <p>{t("import.drop")}</p>
        <Button disabled={busy} onClick={() => input.current?.click()} aria-describedby={hint}>
          {t("import.choose")}
        </Button>
        <p id={hint} className="muted">
          {t("import.formats")}
        </p>
        <input
          ref={input}
          type="file"
          multiple
          hidden
          onChange={(event) => {
            const { files } = event.target;
            void add(files).then(() => {
              event.target.value = "";
            });
          }}
        />
      </div>
      <ChosenFiles chosen={chosen} disabled={busy} change={setChosen} />
      {chosen.length > 0 && captures.length === 0 && <Alert type="info" showIcon title={t("import.no_capture")} />}
      {upload.error !== undefined && <Alert type="error" showIcon role="alert" title={text(upload.error)} />}
      {upload.progress !== undefined && (
        <div className="upload-progress">
          <Progress
            percent={100 * upload.progress}
            format={() => percent(upload.progress ?? 0, 1) ?? ""}
            aria-label={t("import.uploading")}
          />
          <Button onClick={upload.cancel}>{t("action.cancel")}</Button>
        </div>
      )}
      {chosen.length > 0 && !busy && (
        <Button
          type="primary"
          disabled={captures.length === 0}
          onClick={() =>
            upload.start({
              captures: captures.map((c) => c.file),
              keylogs: chosen.filter((c) => c.keylog).map((c) => c.file),
            })
          }
        >
          {t("import.start")}
        </Button>
      )}
    </section>
  );
}
