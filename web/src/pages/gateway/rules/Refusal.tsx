import { Alert, Button } from "antd";
import { useTranslation } from "react-i18next";
import { APIError } from "../../../api/client";
import { ErrorBox } from "../../../components/ErrorBox";
import { Text } from "../../../components/Text";
import { mistakesIn } from "./mistakes";

interface Props {
  error: unknown;
  /** The rules that were refused. */
  text: string;
  /** Leads to a line of them. */
  show: (line: number) => void;
}

/** Why rules were not saved: each mistake, with its line. */
export function Refusal({ error, text, show }: Props) {
  const { t } = useTranslation();
  const told = error instanceof APIError && error.status === 422 ? error.mistakes.get("body.text") : undefined;
  if (told === undefined) return <ErrorBox error={error} />;
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      title={<strong>{t("gateway.rules_refused")}</strong>}
      description={
        <ul className="rule-mistakes">
          {mistakesIn(text, told).map(({ line, message }, i) => (
            <li key={i}>
              {line !== undefined && (
                <Button size="small" onClick={() => show(line)}>
                  {t("gateway.line", { n: line })}
                </Button>
              )}{" "}
              <Text text={message} />
            </li>
          ))}
        </ul>
      }
    />
  );
}
