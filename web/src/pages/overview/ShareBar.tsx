import { useTranslation } from "react-i18next";
import type { Overview } from "../../api/types";
import { useFormat } from "../../components/format";

/** Decrypted, partly and not, as parts of one bar. */
export function ShareBar({ coverage }: { coverage: Overview["decryption"] }) {
  const { t } = useTranslation();
  const { percent } = useFormat();
  if (coverage.tls === 0) return null;
  const parts = [
    { label: "decrypted", n: coverage.yes },
    { label: "partial", n: coverage.partial },
    { label: "not_decrypted", n: coverage.no },
  ];
  const words = parts.map((p) => `${t(`label.${p.label}`)} ${percent(p.n, coverage.tls) ?? ""}`).join(", ");
  return (
    <div className="share-bar" role="img" aria-label={words} title={words}>
      {parts
        .filter((p) => p.n > 0)
        .map((p) => (
          <span key={p.label} className={`share-${p.label}`} style={{ flexGrow: p.n }} />
        ))}
    </div>
  );
}
