import { Input, Segmented } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { System } from "../../api/types";
import { useFormat } from "../../components/format";
import { Text } from "../../components/Text";
import { isLoss, labelsOf, matching } from "../../format/counter";

/** Every counter, those of losses first. */
export function Counters({ counters }: { counters: System["counters"] }) {
  const { t } = useTranslation();
  const { locale } = useFormat();
  const [all, setAll] = useState(false);
  const [words, setWords] = useState("");
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 3 });
  const shown = matching(all ? counters : counters.filter(isLoss), words);
  return (
    <section className="card" aria-labelledby="counters-title">
      <div className="card-head">
        <h2 id="counters-title">{t("system.counters")}</h2>
        <Segmented
          aria-label={t("system.counters")}
          value={all ? "all" : "losses"}
          onChange={(value) => setAll(value === "all")}
          options={[
            { value: "losses", label: t("system.losses") },
            { value: "all", label: t("system.all") },
          ]}
        />
        <Input
          allowClear
          aria-label={t("system.find_counter")}
          placeholder={t("system.find_counter")}
          value={words}
          onChange={(e) => setWords(e.target.value)}
        />
      </div>
      <p className="muted">{all ? t("system.counters_note") : t("system.losses_note")}</p>
      <table className="plain-table counters">
        <thead>
          <tr>
            <th scope="col">{t("system.counter")}</th>
            <th scope="col" className="number">
              {t("system.value")}
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((c) => (
            <tr key={c.name + labelsOf(c)} className={isLoss(c) && c.value > 0 ? "counter-loss" : undefined}>
              <td>
                <code>
                  <Text text={c.name + labelsOf(c)} />
                </code>
              </td>
              <td className="number">{number.format(c.value)}</td>
            </tr>
          ))}
          {shown.length === 0 && (
            <tr>
              <td colSpan={2}>{t("system.no_counters")}</td>
            </tr>
          )}
        </tbody>
      </table>
    </section>
  );
}
