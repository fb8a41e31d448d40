import { DownloadOutlined } from "@ant-design/icons";
import { Alert, Button, Segmented } from "antd";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { save } from "../../../api/packets";
import type { components } from "../../../api/schema";
import { CopyButton } from "../../../components/CopyButton";
import { useFormat } from "../../../components/format";
import { Text } from "../../../components/Text";
import { decodeBase64, hexDump, prettyJSON, rasterType, textOf } from "../../../format/body";
import { Fact, Facts } from "./Facts";

type Content = Pick<
  components["schemas"]["Message"],
  "body" | "body_truncated" | "size" | "wire_size" | "encoding" | "type" | "sha256" | "state"
>;

interface Props {
  content: Content;
  /** Value of the Content-Type header, for its charset. */
  contentType: string;
  /** Name under which the bytes are saved. */
  name: string;
  extension?: string;
}

/** A body: its sizes and hash, and its first bytes in the form that suits them. */
export function Body({ content, contentType, name, extension = "bin" }: Props) {
  const { t } = useTranslation();
  const { bytes } = useFormat();
  if (!content.size && !content.body) return <p className="muted">{t("body.none")}</p>;
  return (
    <div className="body">
      <Facts>
        <Fact name={t("fact.size")} value={content.size} shown={bytes(content.size ?? 0)} />
        {content.encoding && (
          <Fact
            name={t("fact.encoding")}
            value={content.encoding}
            shown={`${content.encoding} (${bytes(content.wire_size ?? 0)})`}
          />
        )}
        <Fact name={t("fact.media_type")} value={content.type} />
        <Fact name={t("fact.sha256")} value={content.sha256} mono />
      </Facts>
      {content.state && content.state !== "complete" && (
        <Alert type="warning" showIcon title={t(`state.${content.state}`)} />
      )}
      {content.body ? (
        <Shown key={content.body} body={content.body} contentType={contentType} file={`${name}.${extension}`} />
      ) : (
        <p className="muted">{t("body.not_kept")}</p>
      )}
      {content.body_truncated && (
        <Alert type="info" showIcon title={t("body.truncated", { size: bytes(content.size ?? 0) })} />
      )}
    </div>
  );
}

type View = "image" | "json" | "text" | "hex";

function Shown({ body, contentType, file }: { body: string; contentType: string; file: string }) {
  const { t } = useTranslation();
  const raw = useMemo(() => decodeBase64(body), [body]);
  const text = useMemo(() => textOf(raw, contentType), [raw, contentType]);
  const json = useMemo(() => (text === undefined ? undefined : prettyJSON(text)), [text]);
  const raster = rasterType(raw);
  const views: View[] = [
    ...(raster ? (["image"] as const) : []),
    ...(json === undefined ? [] : (["json"] as const)),
    ...(text === undefined ? [] : (["text"] as const)),
    "hex",
  ];
  const [chosen, setChosen] = useState<View>();
  const view = chosen ?? views[0] ?? "hex";
  const written = view === "json" ? json : view === "text" ? text : undefined;
  return (
    <>
      <div className="body-tools">
        <Segmented
          size="small"
          aria-label={t("body.view")}
          value={view}
          onChange={(value) => setChosen(value)}
          options={views.map((value) => ({ value, label: t(`body.view_${value}`) }))}
        />
        {text !== undefined && <CopyButton text={text} what={t("body.copy")} />}
        <Button
          type="text"
          size="small"
          icon={<DownloadOutlined aria-hidden />}
          onClick={() => save(new Blob([raw], { type: "application/octet-stream" }), file)}
        >
          {t("body.save")}
        </Button>
      </div>
      {view === "image" && raster ? (
        <Picture bytes={raw} type={raster} />
      ) : (
        <pre
          className={view === "hex" ? "body-text body-hex" : "body-text"}
          tabIndex={0}
          aria-label={t(`body.view_${view}`)}
        >
          {written === undefined ? hexDump(raw) : <Text text={written} lines />}
        </pre>
      )}
    </>
  );
}

/** A raster image from its bytes. The type comes from them too, so the browser takes it for nothing else. */
function Picture({ bytes, type }: { bytes: Uint8Array<ArrayBuffer>; type: string }) {
  const { t } = useTranslation();
  const [broken, setBroken] = useState(false);
  const image = useRef<HTMLImageElement>(null);
  useEffect(() => {
    const url = URL.createObjectURL(new Blob([bytes], { type }));
    if (image.current) image.current.src = url;
    return () => URL.revokeObjectURL(url);
  }, [bytes, type]);
  if (broken) return <p className="muted">{t("body.broken_image")}</p>;
  return (
    <div className="body-image">
      <img ref={image} alt={t("body.image", { type })} onError={() => setBroken(true)} />
    </div>
  );
}
