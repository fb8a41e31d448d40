import { Alert, App, Form, Input, Modal, Radio } from "antd";
import { useTranslation } from "react-i18next";
import { useCreateUser } from "../../api/access";
import type { NewUser } from "../../api/types";
import { useErrorText } from "../../components/errors";
import { name, roles, shortestPassword } from "./rules";

/** Makes an account with a first password. */
export function NewAccount({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const [form] = Form.useForm<NewUser>();
  const create = useCreateUser();
  const text = useErrorText();
  const submit = (values: NewUser) =>
    create.mutate(values, {
      onSuccess: () => {
        void message.success(t("access.account_made", { name: values.name }));
        close();
      },
    });
  return (
    <Modal
      open
      title={t("access.new_account")}
      okText={t("access.make")}
      onCancel={close}
      onOk={form.submit}
      confirmLoading={create.isPending}
    >
      <Form form={form} layout="vertical" requiredMark={false} initialValues={{ role: "viewer" }} onFinish={submit}>
        {create.error && <Alert type="error" showIcon title={text(create.error)} role="alert" />}
        <Form.Item
          name="name"
          label={t("access.name")}
          rules={[{ required: true, pattern: name, message: t("access.name_rule") }]}
        >
          <Input maxLength={128} autoComplete="off" />
        </Form.Item>
        <Form.Item
          name="password"
          label={t("access.first_password")}
          extra={t("account.rule", { count: shortestPassword })}
          rules={[{ required: true, min: shortestPassword, message: t("account.rule", { count: shortestPassword }) }]}
        >
          <Input.Password maxLength={1024} autoComplete="new-password" />
        </Form.Item>
        <Form.Item name="role" label={t("access.role")}>
          <Radio.Group
            vertical
            options={roles.map((role) => ({ value: role, label: `${t(`role.${role}`)}: ${t(`access.role_${role}`)}` }))}
          />
        </Form.Item>
      </Form>
    </Modal>
  );
}
