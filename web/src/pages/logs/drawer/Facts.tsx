import { FilterOutlined } from "@ant-design/icons";
import { Button } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { CopyButton } from "../../../components/CopyButton";
import { Text } from "../../../components/Text";
import { visible } from "../../../format/visible";
import { useValueMenu } from "../valueMenu";

/** A list of names and values. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className="facts">{children}</dl>;
}

interface Props {
  name: string;
  value: string | number | undefined;
  /** The field by which the value can be searched. */
  field?: string;
  /** Shown in place of the value. */
  shown?: string;
  mono?: boolean;
}

/** One fact; nothing where there is no value. */
export function Fact({ name, value, field, shown, mono = false }: Props) {
  const { t } = useTranslation();
  const openMenu = useValueMenu();
  if (value === undefined || value === "") return null;
  const text = String(value);
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <span className={mono ? "mono break" : "break"}>
          <Text text={shown ?? text} />
        </span>
        {field && (
          <Button
            type="text"
            size="small"
            className="quiet-button"
            icon={<FilterOutlined aria-hidden />}
            aria-label={t("drawer.filter", { name: `${name} ${visible(text)}` })}
            title={t("drawer.filter_title")}
            onClick={(event) => openMenu({ field, value: text }, event)}
          />
        )}
        <CopyButton text={text} what={name} />
      </dd>
    </>
  );
}
