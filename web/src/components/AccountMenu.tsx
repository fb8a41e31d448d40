import { UserOutlined } from "@ant-design/icons";
import { Button, Dropdown } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { useSignOut } from "../api/queries";
import type { Session } from "../api/types";
import { PasswordDialog } from "./PasswordDialog";

/** Who is signed in, and what that person may do with the account. */
export function AccountMenu({ user, version }: Pick<Session, "user" | "version">) {
  const { t } = useTranslation();
  const signOut = useSignOut();
  const navigate = useNavigate();
  const [changing, setChanging] = useState(false);
  const items = [
    { key: "who", label: `${user.name} · ${t(`role.${user.role}`)}`, disabled: true },
    { key: "version", label: `Vitrine ${version}`, disabled: true },
    { type: "divider" as const },
    { key: "access", label: t("access.title"), onClick: () => void navigate("/access") },
    { key: "password", label: t("account.change_password"), onClick: () => setChanging(true) },
    { key: "sign_out", label: t("account.sign_out"), onClick: () => signOut.mutate() },
  ];
  return (
    <>
      <Dropdown trigger={["click"]} menu={{ items }} placement="bottomRight">
        <Button type="text" icon={<UserOutlined aria-hidden />} aria-label={t("account.menu", { name: user.name })}>
          {user.name}
        </Button>
      </Dropdown>
      {changing && <PasswordDialog close={() => setChanging(false)} />}
    </>
  );
}
