import { Alert, Button, Form, Input, Modal, Radio } from "antd";
import { useTranslation } from "react-i18next";
import { useCreateToken } from "../../api/access";
import { useSession } from "../../api/queries";
import type { Token } from "../../api/types";
import { CopyButton } from "../../components/CopyButton";
import { useErrorText } from "../../components/errors";
import { endOf, lifetimes, name, rolesUpTo } from "./rules";

interface Values {
  name: string;
  role: Token["role"];
  days: number;
}

/** Makes a token and shows its secret, this once. */
export function NewTokenDialog({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const [form] = Form.useForm<Values>();
  const session = useSession();
  const create = useCreateToken();
  const text = useErrorText();
  const made = create.data;
  const submit = ({ name, role, days }: Values) => {
    const expires = endOf(days, new Date());
    create.mutate({ name, role, ...(expires && { expires }) });
  };
  if (made) {
    return (
      <Modal
        open
        title={t("access.token_made", { name: made.token.name })}
        onCancel={close}
        footer={<Button onClick={close}>{t("action.close")}</Button>}
      >
        <p>{t("access.secret_note")}</p>
        <div className="command">
          <code>{made.secret}</code>
          <CopyButton text={made.secret} what={t("access.secret")} />
        </div>
      </Modal>
    );
  }
  return (
    <Modal
      open
      title={t("access.new_token")}
      okText={t("access.make")}
      onCancel={close}
      onOk={form.submit}
      confirmLoading={create.isPending}
    >
      <Form
        form={form}
        layout="vertical"
        requiredMark={false}
        initialValues={{ role: "viewer", days: 90 }}
        onFinish={submit}
      >
        {create.error && <Alert type="error" showIcon title={text(create.error)} role="alert" />}
        <Form.Item
          name="name"
          label={t("access.name")}
          rules={[{ required: true, pattern: name, message: t("access.name_rule") }]}
        >
          <Input maxLength={64} autoComplete="off" />
        </Form.Item>
        <Form.Item name="role" label={t("access.role")}>
          <Radio.Group
            vertical
            options={rolesUpTo(session.data?.user.role ?? "viewer").map((role) => ({
              value: role,
              label: `${t(`role.${role}`)}: ${t(`access.role_${role}`)}`,
            }))}
          />
        </Form.Item>
        <Form.Item name="days" label={t("access.lifetime")}>
          <Radio.Group
            options={lifetimes.map((days) => ({
              value: days,
              label: days === 0 ? t("access.for_ever") : t("access.days", { n: days }),
            }))}
          />
        </Form.Item>
      </Form>
    </Modal>
  );
}
