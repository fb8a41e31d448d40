import { Alert, App, Form, Input, Modal, Radio } from "antd";
import { useTranslation } from "react-i18next";
import { useImportAuthority } from "../../../api/gateway";
import type { Authority } from "../../../api/types";
import { useErrorText } from "../../../components/errors";
import { FileText } from "./FileText";
import { base64Of } from "./base64";

const forms = ["pem", "pkcs12", "token"] as const;

interface Values {
  name: string;
  form: (typeof forms)[number];
  pem?: string;
  key_pem?: string;
  key_uri?: string;
  pkcs12?: File;
  passphrase?: string;
}

/** What the form asks the server for. */
async function bodyOf({ name, form, pem, key_pem, key_uri, pkcs12, passphrase }: Values) {
  const secret = { ...(passphrase && { passphrase }) };
  switch (form) {
    case "pem":
      return { name, pem: pem ?? "", key_pem: key_pem ?? "", ...secret };
    case "token":
      return { name, pem: pem ?? "", key_uri: key_uri?.trim() ?? "" };
    case "pkcs12":
      return { name, pkcs12_base64: base64Of(await pkcs12?.arrayBuffer()), ...secret };
  }
}

interface Props {
  close: () => void;
  made?: (authority: Authority) => void;
}

/** Imports an authority with its key. What clients would not accept is refused by the server, with the reason. */
export function ImportAuthority({ close, made }: Props) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const [form] = Form.useForm<Values>();
  const kind = Form.useWatch<Values["form"] | undefined>("form", form) ?? "pem";
  const bring = useImportAuthority();
  const text = useErrorText();
  const submit = async (values: Values) => {
    const { name } = values;
    bring.mutate(await bodyOf(values), {
      onSuccess: (authority) => {
        void message.success(t("gateway.imported", { name }));
        made?.(authority);
        close();
      },
    });
  };
  const needed = [{ required: true, message: t("gateway.needed") }];
  return (
    <Modal
      open
      width={640}
      title={t("gateway.import_authority")}
      okText={t("gateway.import")}
      onCancel={close}
      onOk={form.submit}
      confirmLoading={bring.isPending}
    >
      <Form
        form={form}
        layout="vertical"
        requiredMark={false}
        initialValues={{ form: "pem" }}
        onFinish={(values) => void submit(values)}
      >
        {bring.error && <Alert type="error" showIcon title={text(bring.error)} role="alert" />}
        <Form.Item
          name="name"
          label={t("gateway.authority_name")}
          rules={[{ required: true, pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, message: t("gateway.id_hint") }]}
        >
          <Input maxLength={64} autoComplete="off" />
        </Form.Item>
        <Form.Item name="form" label={t("gateway.form")}>
          <Radio.Group options={forms.map((value) => ({ value, label: t(`gateway.form_${value}`) }))} />
        </Form.Item>
        {kind !== "pkcs12" && (
          <Form.Item name="pem" label={t("gateway.pem")} extra={t("gateway.pem_note")} rules={needed}>
            <FileText placeholder="-----BEGIN CERTIFICATE-----" />
          </Form.Item>
        )}
        {kind === "pem" && (
          <Form.Item name="key_pem" label={t("gateway.key_pem")} extra={t("gateway.key_note")} rules={needed}>
            <FileText placeholder="-----BEGIN ENCRYPTED PRIVATE KEY-----" />
          </Form.Item>
        )}
        {kind === "token" && (
          <Form.Item name="key_uri" label={t("gateway.key_uri")} extra={t("gateway.key_uri_note")} rules={needed}>
            <Input.Password
              maxLength={4096}
              autoComplete="off"
              placeholder="pkcs11:token=…;object=…?module-path=…&pin-value=…"
            />
          </Form.Item>
        )}
        {kind === "pkcs12" && (
          <Form.Item
            name="pkcs12"
            label={t("gateway.pkcs12")}
            extra={t("gateway.key_note")}
            rules={needed}
            getValueFromEvent={(event: { target: HTMLInputElement }) => event.target.files?.[0]}
            valuePropName="none"
          >
            <input type="file" accept=".p12,.pfx,application/x-pkcs12" />
          </Form.Item>
        )}
        {kind !== "token" && (
          <Form.Item name="passphrase" label={t("gateway.passphrase")} extra={t("gateway.passphrase_note")}>
            <Input.Password maxLength={1024} autoComplete="off" />
          </Form.Item>
        )}
      </Form>
    </Modal>
  );
}
