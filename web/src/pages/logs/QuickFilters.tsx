import { UnlockOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useTranslation } from "react-i18next";
import type { Kind } from "../../api/types";
import { hasTerm, narrow, without } from "../../format/query";

const kinds: Kind[] = [
  "http",
  "dns",
  "tls",
  "websocket",
  "smtp",
  "ftp",
  "ftp_data",
  "file",
  "finding",
  "conn",
  "anomaly",
  "unknown",
  "coverage",
];

interface Props {
  q: string;
  run: (q: string) => void;
}

/** Filters that are one click away: decrypted, and one kind at a time. */
export function QuickFilters({ q, run }: Props) {
  const { t } = useTranslation();
  const decrypted = "decrypted:yes";
  const kindOf = (kind: Kind) => `kind:${kind}`;
  const toggle = (wanted: string, others: string[]) => {
    const rest = others.reduce((text, other) => without(text, other), q);
    run(hasTerm(q, wanted) ? without(q, wanted) : narrow(rest, wanted));
  };
  return (
    <div className="quick" role="group" aria-label={t("logs.quick")}>
      <Button
        size="small"
        icon={<UnlockOutlined aria-hidden />}
        type={hasTerm(q, decrypted) ? "primary" : "default"}
        aria-pressed={hasTerm(q, decrypted)}
        onClick={() => toggle(decrypted, [])}
      >
        {t("label.decrypted")}
      </Button>
      <span className="quick-divider" aria-hidden />
      {kinds.map((kind) => (
        <Button
          key={kind}
          size="small"
          type={hasTerm(q, kindOf(kind)) ? "primary" : "default"}
          aria-pressed={hasTerm(q, kindOf(kind))}
          onClick={() => toggle(kindOf(kind), kinds.map(kindOf))}
        >
          {t(`kind.${kind}`)}
        </Button>
      ))}
    </div>
  );
}
