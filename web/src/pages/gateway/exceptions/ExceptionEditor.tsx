import { Alert, Checkbox, Form, Input, Modal, Radio } from "antd";
import { useTranslation } from "react-i18next";
import { useCategories, useCreateException, useReplaceException } from "../../../api/gateway";
import type { Exception } from "../../../api/types";
import { useErrorText } from "../../../components/errors";
import { useFormat } from "../../../components/format";
import { listOf, textOf } from "../lists";
import { useCategoryName } from "./categories";

interface Values {
  id: string;
  kind: Exception["kind"];
  names: string;
  addresses: string;
  categories: string[];
  reason: string;
}

interface Props {
  /** The rule to change; undefined for a new one. */
  exception: Exception | undefined;
  close: () => void;
}

/** A bypass or block rule. */
export function ExceptionEditor({ exception, close }: Props) {
  const { t } = useTranslation();
  const { count } = useFormat();
  const [form] = Form.useForm<Values>();
  const text = useErrorText();
  const category = useCategoryName();
  const categories = useCategories().data?.categories ?? [];
  const create = useCreateException();
  const replace = useReplaceException();
  const save = exception ? replace : create;
  const submit = ({ names, addresses, ...rest }: Values) =>
    save.mutate({ ...rest, names: listOf(names), addresses: listOf(addresses) }, { onSuccess: close });
  return (
    <Modal
      open
      width={640}
      title={exception ? t("gateway.edit_what", { name: exception.id }) : t("gateway.new_exception")}
      okText={t("gateway.save")}
      onCancel={close}
      onOk={form.submit}
      confirmLoading={save.isPending}
    >
      <Form
        form={form}
        layout="vertical"
        requiredMark={false}
        initialValues={{
          ...{ id: exception?.id ?? "", kind: exception?.kind ?? "bypass", reason: exception?.reason ?? "" },
          ...{ names: textOf(exception?.names), addresses: textOf(exception?.addresses) },
          categories: exception?.categories ?? [],
        }}
        onFinish={submit}
      >
        {save.error && <Alert type="error" showIcon title={text(save.error)} role="alert" />}
        <Form.Item name="id" label={t("gateway.id")} rules={[{ required: true, message: t("gateway.needed") }]}>
          <Input className="mono" maxLength={64} autoComplete="off" disabled={exception !== undefined} />
        </Form.Item>
        <Form.Item name="kind" label={t("gateway.column_kind")}>
          <Radio.Group
            vertical
            options={(["bypass", "block"] as const).map((value) => ({ value, label: t(`gateway.kind_${value}`) }))}
          />
        </Form.Item>
        <Form.Item name="categories" label={t("gateway.categories")}>
          <Checkbox.Group
            options={categories.map((c) => ({
              value: c.id,
              label: t("gateway.category_count", { name: category(c.id), n: count(c.count) }),
            }))}
          />
        </Form.Item>
        <Form.Item name="names" label={t("gateway.names")} extra={t("gateway.names_hint")}>
          <Input.TextArea className="mono" spellCheck={false} rows={2} />
        </Form.Item>
        <Form.Item name="addresses" label={t("gateway.addresses")} extra={t("gateway.addresses_hint")}>
          <Input.TextArea className="mono" spellCheck={false} rows={2} />
        </Form.Item>
        <Form.Item name="reason" label={t("gateway.column_reason")} extra={t("gateway.reason_hint")}>
          <Input maxLength={2000} />
        </Form.Item>
      </Form>
    </Modal>
  );
}
