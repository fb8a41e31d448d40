import { App } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useErrorText } from "./errors";

interface Question {
  title: string;
  content: ReactNode;
  ok: string;
  danger?: boolean;
}

/** Asks before it acts. What goes wrong then is told. */
export function useConfirm(): (question: Question, act: () => Promise<unknown>) => void {
  const { t } = useTranslation();
  const { modal, message } = App.useApp();
  const text = useErrorText();
  return ({ title, content, ok, danger = false }, act) =>
    void modal.confirm({
      title,
      content,
      okText: ok,
      cancelText: t("action.cancel"),
      okButtonProps: { danger },
      onOk: () => act().catch((error: unknown) => message.error(text(error))),
    });
}
