import { Alert, App, Form, Input, Modal } from "antd";
import { useTranslation } from "react-i18next";
import { APIError } from "../api/client";
import { useChangePassword } from "../api/queries";
import { useErrorText } from "./errors";

const shortest = 12;

interface Values {
  old: string;
  new: string;
  again: string;
}

/** Changes the password of who is signed in. */
export function PasswordDialog({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const [form] = Form.useForm<Values>();
  const change = useChangePassword();
  const text = useErrorText();
  const wrong = change.error instanceof APIError && change.error.location === "body.old";
  const submit = (values: Values) =>
    change.mutate(
      { old: values.old, new: values.new },
      {
        onSuccess: () => {
          void message.success(t("account.changed"));
          close();
        },
      },
    );
  return (
    <Modal
      open
      title={t("account.change_password")}
      okText={t("account.change")}
      onCancel={close}
      onOk={form.submit}
      confirmLoading={change.isPending}
    >
      <Form form={form} layout="vertical" requiredMark={false} onFinish={submit}>
        {change.error && (
          <Alert type="error" showIcon title={wrong ? t("account.wrong") : text(change.error)} role="alert" />
        )}
        <Form.Item
          name="old"
          label={t("account.old")}
          rules={[{ required: true, message: t("sign_in.password_missing") }]}
        >
          <Input.Password autoComplete="current-password" maxLength={1024} />
        </Form.Item>
        <Form.Item
          name="new"
          label={t("account.new")}
          extra={t("account.rule", { count: shortest })}
          rules={[{ required: true, min: shortest, message: t("account.rule", { count: shortest }) }]}
        >
          <Input.Password autoComplete="new-password" maxLength={1024} />
        </Form.Item>
        <Form.Item
          name="again"
          label={t("account.again")}
          dependencies={["new"]}
          rules={[
            {
              validator: (_, value) =>
                value === form.getFieldValue("new")
                  ? Promise.resolve()
                  : Promise.reject(new Error(t("account.differ"))),
            },
          ]}
        >
          <Input.Password autoComplete="new-password" maxLength={1024} />
        </Form.Item>
      </Form>
    </Modal>
  );
}
