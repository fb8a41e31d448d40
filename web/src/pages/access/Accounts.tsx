import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { App, Button, Spin } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useDeleteUser, useUsers } from "../../api/access";
import { ErrorBox } from "../../components/ErrorBox";
import { useErrorText } from "../../components/errors";
import { Text } from "../../components/Text";
import { NewAccount } from "./NewAccount";

/** All accounts, to make and to delete. */
export function Accounts() {
  const { t } = useTranslation();
  const { message, modal } = App.useApp();
  const text = useErrorText();
  const users = useUsers();
  const remove = useDeleteUser();
  const [making, setMaking] = useState(false);
  const ask = (name: string) =>
    modal.confirm({
      title: t("access.delete_title", { name }),
      content: t("access.delete_note"),
      okText: t("access.delete"),
      cancelText: t("action.cancel"),
      okButtonProps: { danger: true },
      onOk: () => remove.mutateAsync(name).catch((error: unknown) => message.error(text(error))),
    });
  return (
    <section className="card" aria-labelledby="accounts-title">
      <div className="card-head">
        <h2 id="accounts-title">{t("access.accounts")}</h2>
        <div className="card-buttons">
          <Button icon={<PlusOutlined aria-hidden />} onClick={() => setMaking(true)}>
            {t("access.new_account")}
          </Button>
        </div>
      </div>
      {users.error && <ErrorBox error={users.error} retry={users.refetch} />}
      {users.isPending && <Spin />}
      <div className="access-scroll" tabIndex={0} role="region" aria-labelledby="accounts-title">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">{t("access.name")}</th>
              <th scope="col">{t("access.role")}</th>
              <th scope="col" className="access-action">
                <span className="visually-hidden">{t("access.delete")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {users.data?.users.map((u) => (
              <tr key={u.name}>
                <td>
                  <Text text={u.name} />
                </td>
                <td>
                  {t(`role.${u.role}`)}
                  <p className="muted small">{t(`access.role_${u.role}`)}</p>
                </td>
                <td className="access-action">
                  <Button
                    type="text"
                    size="small"
                    icon={<DeleteOutlined aria-hidden />}
                    aria-label={t("access.delete_what", { name: u.name })}
                    title={t("access.delete_what", { name: u.name })}
                    onClick={() => ask(u.name)}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {making && <NewAccount close={() => setMaking(false)} />}
    </section>
  );
}
