import { GlobalOutlined, BulbOutlined } from "@ant-design/icons";
import { Button, Dropdown } from "antd";
import { useTranslation } from "react-i18next";
import { usePreference } from "./preferences";

const themes = ["light", "dark", "system"] as const;

/** Language and colours, for the sign-in page and the header. */
export function LookSwitches() {
  const { t } = useTranslation();
  const [language, setLanguage] = usePreference("language");
  const [theme, setTheme] = usePreference("theme");
  const languages = [
    { key: "en", label: "English" },
    { key: "zh", label: "中文" },
  ];
  return (
    <>
      <Dropdown
        trigger={["click"]}
        menu={{
          items: languages,
          selectable: true,
          selectedKeys: [language],
          onClick: ({ key }) => setLanguage(key === "zh" ? "zh" : "en"),
        }}
      >
        <Button type="text" icon={<GlobalOutlined aria-hidden />} title={t("look.language")}>
          {language === "zh" ? "中文" : "EN"}
        </Button>
      </Dropdown>
      <Dropdown
        trigger={["click"]}
        menu={{
          items: themes.map((key) => ({ key, label: t(`look.theme_${key}`) })),
          selectable: true,
          selectedKeys: [theme],
          onClick: ({ key }) => setTheme(themes.find((x) => x === key) ?? "system"),
        }}
      >
        <Button type="text" icon={<BulbOutlined aria-hidden />} aria-label={t("look.theme")} title={t("look.theme")} />
      </Dropdown>
    </>
  );
}
