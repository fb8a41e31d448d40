import { useTranslation } from "react-i18next";
import type { Gateway } from "../../api/types";
import { useFormat } from "../../components/format";
import { useReason } from "../../components/reason";
import { Text } from "../../components/Text";

/** What became of connections since the gateway was started. */
export function Status({ gateway }: { gateway: Gateway }) {
  const { t } = useTranslation();
  const { count } = useFormat();
  const { stats } = gateway;
  const reasons = Object.entries(stats.reasons).sort(([, a], [, b]) => b - a);
  const refused = stats.over_capacity + stats.unreachable + stats.guarded + stats.refused;
  return (
    <div className="gateway-status">
      <ul className="gateway-numbers">
        {(["open", "inspected", "bypassed", "blocked"] as const).map((what) => (
          <li key={what}>
            <strong>{count(stats[what])}</strong> <span className="muted">{t(`gateway.stats_${what}`)}</span>
          </li>
        ))}
        {refused > 0 && (
          <li>
            <strong>{count(refused)}</strong> <span className="muted">{t("gateway.stats_refused")}</span>
          </li>
        )}
      </ul>
      {reasons.length > 0 && (
        <ul className="reasons" aria-label={t("gateway.stats_reasons")}>
          {reasons.map(([code, n]) => (
            <Reason key={code} code={code} n={n} />
          ))}
        </ul>
      )}
      <p className="muted small">
        {gateway.listeners.map((l) => (
          <span key={`${l.kind} ${l.address}`} className="gateway-listener">
            {t(`gateway.listener_${l.kind}`)}{" "}
            <code>
              <Text text={l.address} />
            </code>
          </span>
        ))}
      </p>
    </div>
  );
}

function Reason({ code, n }: { code: string; n: number }) {
  const { count } = useFormat();
  const { name, why } = useReason(code);
  return (
    <li className="reason-line" title={why}>
      <span>{name}</span>
      <span>{count(n)}</span>
    </li>
  );
}
