import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { App, Button, Spin } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useRevokeToken, useTokens } from "../../api/access";
import type { Token } from "../../api/types";
import { ErrorBox } from "../../components/ErrorBox";
import { useErrorText } from "../../components/errors";
import { useFormat } from "../../components/format";
import { Text } from "../../components/Text";
import { NewTokenDialog } from "./NewTokenDialog";

/** The tokens by which programs get in: one's own, and to administrators all. */
export function Tokens() {
  const { t } = useTranslation();
  const tokens = useTokens();
  const [making, setMaking] = useState(false);
  const list = tokens.data?.tokens ?? [];
  return (
    <section className="card" aria-labelledby="tokens-title">
      <div className="card-head">
        <h2 id="tokens-title">{t("access.tokens")}</h2>
        <div className="card-buttons">
          <Button icon={<PlusOutlined aria-hidden />} onClick={() => setMaking(true)}>
            {t("access.new_token")}
          </Button>
        </div>
      </div>
      <p className="muted">{t("access.tokens_note")}</p>
      {tokens.error && <ErrorBox error={tokens.error} retry={tokens.refetch} />}
      {tokens.isPending && <Spin />}
      {tokens.data && list.length === 0 && <p className="process-none">{t("access.no_tokens")}</p>}
      {list.length > 0 && (
        <div className="access-scroll" tabIndex={0} role="region" aria-labelledby="tokens-title">
          <table className="plain-table">
            <thead>
              <tr>
                {(["name", "role", "owner", "created", "expires", "last_used"] as const).map((column) => (
                  <th key={column} scope="col">
                    {t(`access.${column}`)}
                  </th>
                ))}
                <th scope="col" className="access-action">
                  <span className="visually-hidden">{t("access.revoke")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.map((token) => (
                <Row key={token.id} token={token} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {making && <NewTokenDialog close={() => setMaking(false)} />}
    </section>
  );
}

function Row({ token }: { token: Token }) {
  const { t } = useTranslation();
  const { moment } = useFormat();
  const { message, modal } = App.useApp();
  const text = useErrorText();
  const revoke = useRevokeToken();
  const ask = () =>
    modal.confirm({
      title: t("access.revoke_title", { name: token.name }),
      content: t("access.revoke_note"),
      okText: t("access.revoke"),
      cancelText: t("action.cancel"),
      okButtonProps: { danger: true },
      onOk: () => revoke.mutateAsync(token.id).catch((error: unknown) => message.error(text(error))),
    });
  return (
    <tr>
      <td className="break">
        <Text text={token.name} />
        <p className="muted small mono">{token.id}</p>
      </td>
      <td>{t(`role.${token.role}`)}</td>
      <td className="break">
        <Text text={token.owner ?? t("access.command_line")} />
      </td>
      <td>{moment(token.created)}</td>
      <td>{token.expires ? moment(token.expires) : t("access.never")}</td>
      <td>{token.last_used ? moment(token.last_used) : t("access.never")}</td>
      <td className="access-action">
        <Button
          type="text"
          size="small"
          icon={<DeleteOutlined aria-hidden />}
          aria-label={t("access.revoke_what", { name: token.name })}
          title={t("access.revoke_what", { name: token.name })}
          onClick={ask}
        />
      </td>
    </tr>
  );
}
