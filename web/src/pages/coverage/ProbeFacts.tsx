import { CheckCircleFilled, MinusCircleOutlined } from "@ant-design/icons";
import { useTranslation } from "react-i18next";
import type { Probe } from "../../api/types";
import { DocLink } from "../../components/DocLink";
import { useFormat } from "../../components/format";
import { useLack } from "../../components/reason";
import { Clipped, Text } from "../../components/Text";
import { libraryOf } from "./processes";

/** What the probe takes of the machine, what the kernel lets it do, where it has hooks, and what it lost. */
export function ProbeFacts({ probe }: { probe: Probe }) {
  const { t, i18n } = useTranslation();
  const lack = useLack();
  return (
    <div className="system-grid">
      <section className="card" aria-labelledby="budget-title">
        <div className="card-head">
          <h2 id="budget-title">{t("coverage.budget")}</h2>
          <DocLink page="probe-budget" />
        </div>
        <Budget probe={probe} />
        <Losses lost={probe.lost} />
      </section>
      <section className="card" aria-labelledby="kernel-title">
        <h2 id="kernel-title">{t("coverage.kernel")}</h2>
        <ul className="capabilities">
          {probe.capabilities.map((c) => (
            <li key={c.name}>
              <span className={c.available ? "state state-good" : "state"}>
                {c.available ? <CheckCircleFilled aria-hidden /> : <MinusCircleOutlined aria-hidden />}
                <span>{i18n.exists(`coverage.can.${c.name}`) ? t(`coverage.can.${c.name}`) : c.name}</span>
                <span className="visually-hidden">{c.available ? t("coverage.there") : t("coverage.not_there")}</span>
              </span>
              <span className="muted small">
                <Text text={lack(c)} />
              </span>
            </li>
          ))}
        </ul>
        <Libraries libraries={probe.libraries} />
      </section>
    </div>
  );
}

function Budget({ probe }: { probe: Probe }) {
  const { t } = useTranslation();
  const { percent, bytes } = useFormat();
  const core = (share: number) => percent(share, 1) ?? "0%";
  return (
    <dl className="facts">
      <dt>{t("coverage.cpu")}</dt>
      <dd>
        {probe.cpu_limit > 0
          ? t("coverage.of_limit", { now: core(probe.cpu), limit: core(probe.cpu_limit) })
          : core(probe.cpu)}
        <Meter value={probe.cpu} limit={probe.cpu_limit} />
      </dd>
      <dt>{t("coverage.memory")}</dt>
      <dd>
        {probe.memory_limit > 0
          ? t("coverage.of_limit", { now: bytes(probe.memory), limit: bytes(probe.memory_limit) })
          : bytes(probe.memory)}
        <Meter value={probe.memory} limit={probe.memory_limit} />
      </dd>
    </dl>
  );
}

/** How much of a limit is used; the words beside it say the same. */
function Meter({ value, limit }: { value: number; limit: number }) {
  if (limit <= 0) return null;
  const share = Math.min(1, value / limit);
  return (
    <span className="meter" aria-hidden>
      <span className={share >= 1 ? "meter-over" : ""} style={{ width: `${100 * share}%` }} />
    </span>
  );
}

function Losses({ lost }: { lost: Probe["lost"] }) {
  const { t, i18n } = useTranslation();
  const { count } = useFormat();
  const some = lost.filter((l) => l.count > 0);
  return (
    <>
      <h3>{t("coverage.lost")}</h3>
      {some.length === 0 && (
        <p className="state state-good">
          <CheckCircleFilled aria-hidden /> {t("coverage.lost_nothing")}
        </p>
      )}
      <ul className="reasons">
        {some.map((l) => (
          <li key={l.reason} className="reason-line counter-loss">
            <span>{i18n.exists(`coverage.loss.${l.reason}`) ? t(`coverage.loss.${l.reason}`) : l.reason}</span>
            <span>{count(l.count)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

function Libraries({ libraries }: { libraries: Probe["libraries"] }) {
  const { t } = useTranslation();
  const { count } = useFormat();
  return (
    <>
      <h3 id="libraries-title">{t("coverage.libraries")}</h3>
      {libraries.length === 0 && <p className="muted">{t("coverage.libraries_none")}</p>}
      <div className="library-scroll" role="region" aria-labelledby="libraries-title" tabIndex={0}>
        <ul className="libraries">
          {libraries
            .toSorted((a, b) => b.processes - a.processes)
            .map((l) => (
              <li key={`${l.path} ${l.library}`}>
                <strong>{libraryOf(l)}</strong>
                <Clipped className="mono" text={l.path} />
                <span className="muted small">
                  {t("coverage.hooks", { hooks: count(l.hooks), processes: count(l.processes) })}
                </span>
              </li>
            ))}
        </ul>
      </div>
    </>
  );
}
