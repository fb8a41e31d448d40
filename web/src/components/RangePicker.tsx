import { ClockCircleOutlined } from "@ant-design/icons";
import { Button, DatePicker, Popover } from "antd";
import dayjs from "dayjs";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { allTime, presets, resolve, type Range } from "../format/range";
import { useFormat } from "./format";
import { useRange } from "./range";

/** The time range of the page: presets, or two points in time. */
export function RangePicker() {
  const { t } = useTranslation();
  const [range, setRange] = useRange();
  const [open, setOpen] = useState(false);
  const label = useRangeLabel(range);
  const choose = (next: Range) => {
    setRange(next);
    setOpen(false);
  };
  return (
    <Popover
      trigger="click"
      placement="bottomRight"
      open={open}
      onOpenChange={setOpen}
      destroyOnHidden
      content={<Choices range={range} choose={choose} />}
    >
      <Button
        icon={<ClockCircleOutlined aria-hidden />}
        aria-label={t("range.label", { range: label })}
        aria-expanded={open}
      >
        {label}
      </Button>
    </Popover>
  );
}

function useRangeLabel({ since, until }: Range): string {
  const { t } = useTranslation();
  const { moment } = useFormat();
  if (until === "" && since === allTime) return t("range.all");
  if (until === "" && presets.includes(since)) return t(`range.${since}`);
  const show = (point: string) => (/^\d+[smhdw]$/.test(point) ? t("range.ago", { time: point }) : moment(point));
  return `${show(since)} – ${until === "" ? t("range.now") : show(until)}`;
}

function Choices({ range, choose }: { range: Range; choose: (range: Range) => void }) {
  const { t } = useTranslation();
  const { zone } = useFormat();
  // The picker works in local time: for UTC its values are moved by the offset, there and back.
  const shift = (ms: number, sign: number) =>
    zone === "utc" ? ms + sign * new Date(ms).getTimezoneOffset() * 60_000 : ms;
  const [now] = useState(() => Date.now());
  const at = (point: string) => dayjs(shift(resolve(point, now) ?? now, 1));
  return (
    <div className="range-choices">
      <div className="range-presets">
        {presets.map((since) => (
          <Button
            key={since}
            size="small"
            type={range.until === "" && range.since === since ? "primary" : "default"}
            onClick={() => choose({ since, until: "" })}
          >
            {since === allTime ? t("range.all") : t(`range.${since}`)}
          </Button>
        ))}
      </div>
      <DatePicker.RangePicker
        showTime
        aria-label={t("range.absolute")}
        value={range.since === allTime ? null : [at(range.since), at(range.until)]}
        onChange={(points) => {
          const [from, to] = points ?? [];
          if (!from || !to) return;
          const iso = (d: dayjs.Dayjs) => new Date(shift(d.valueOf(), -1)).toISOString();
          choose({ since: iso(from), until: iso(to) });
        }}
      />
      <span className="muted">{t(`zone.${zone}_note`)}</span>
    </div>
  );
}
