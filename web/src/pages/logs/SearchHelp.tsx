import { QuestionCircleOutlined } from "@ant-design/icons";
import { Button, Popover } from "antd";
import { useTranslation } from "react-i18next";

const examples = [
  ["http.host:example.com", "field"],
  ["http.host:*.example.com", "wildcard"],
  ['http.url:"/a b?c=1"', "quotes"],
  ["http.status:>=400", "compare"],
  ["http.status:(404 or 410)", "several"],
  ["http.response.size:[1000 to 2000]", "between"],
  ["client.ip:10.0.0.0/8", "network"],
  ["decrypted:yes and not kind:dns", "join"],
  ["password", "word"],
  ["process.name:*", "exists"],
] as const;

/** The search language in ten lines. */
export function SearchHelp() {
  const { t } = useTranslation();
  return (
    <Popover
      trigger="click"
      placement="bottomRight"
      title={t("help.title")}
      content={
        <>
          <dl className="search-help">
            {examples.map(([query, key]) => (
              <div key={key}>
                <dt>
                  <code>{query}</code>
                </dt>
                <dd>{t(`help.${key}`)}</dd>
              </div>
            ))}
          </dl>
          <p className="muted">{t("help.keys")}</p>
        </>
      }
    >
      <Button
        type="text"
        size="small"
        icon={<QuestionCircleOutlined aria-hidden />}
        aria-label={t("help.title")}
        title={t("help.title")}
      />
    </Popover>
  );
}
