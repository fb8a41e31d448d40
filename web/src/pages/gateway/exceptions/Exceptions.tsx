import { DeleteOutlined, EditOutlined, PlusOutlined } from "@ant-design/icons";
import { Button, Spin } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useDeleteException, useExceptions } from "../../../api/gateway";
import type { Exception } from "../../../api/types";
import { useConfirm } from "../../../components/confirm";
import { DocLink } from "../../../components/DocLink";
import { ErrorBox } from "../../../components/ErrorBox";
import { useMay } from "../../../components/permissions";
import { Clipped, Text } from "../../../components/Text";
import { ExceptionEditor } from "./ExceptionEditor";
import { useCategoryName } from "./categories";
import { Pins } from "./Pins";

const columns = ["rule", "kind", "what", "reason", "actions"] as const;

/** What is not inspected: what people wrote, and what was learnt. */
export function Exceptions() {
  const { t } = useTranslation();
  const may = useMay();
  const exceptions = useExceptions();
  /** What is being written: "new", or a rule that is there. */
  const [editing, setEditing] = useState<Exception | "new">();
  const list = exceptions.data?.exceptions ?? [];
  return (
    <>
      <section className="card" aria-labelledby="exceptions-title">
        <div className="card-head">
          <h2 id="exceptions-title">{t("gateway.exceptions")}</h2>
          {may("administer") && (
            <div className="card-buttons">
              <Button icon={<PlusOutlined aria-hidden />} onClick={() => setEditing("new")}>
                {t("gateway.new_exception")}
              </Button>
            </div>
          )}
        </div>
        <p className="muted">
          {t("gateway.exceptions_note")} <DocLink page="gateway" anchor="configuration" />
        </p>
        {exceptions.error && <ErrorBox error={exceptions.error} retry={exceptions.refetch} />}
        {exceptions.isPending && <Spin />}
        {exceptions.data && list.length === 0 && <p>{t("gateway.exceptions_none")}</p>}
        {list.length > 0 && (
          <div className="access-scroll" tabIndex={0} role="region" aria-labelledby="exceptions-title">
            <table className="plain-table exceptions">
              <thead>
                <tr>
                  {columns.map((column) => (
                    <th key={column} scope="col" className={`exceptions-${column}`}>
                      {t(`gateway.column_${column}`)}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {list.map((e) => (
                  <Row key={e.id} exception={e} edit={() => setEditing(e)} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      <Pins />
      {editing && (
        <ExceptionEditor exception={editing === "new" ? undefined : editing} close={() => setEditing(undefined)} />
      )}
    </>
  );
}

function Row({ exception: e, edit }: { exception: Exception; edit: () => void }) {
  const { t } = useTranslation();
  const may = useMay();
  const confirm = useConfirm();
  const category = useCategoryName();
  const remove = useDeleteException();
  const ask = () =>
    confirm(
      {
        title: t("gateway.delete_title", { name: e.id }),
        content: t("gateway.delete_exception_note"),
        ok: t("gateway.delete"),
        danger: true,
      },
      () => remove.mutateAsync(e.id),
    );
  const what = [...(e.categories ?? []).map(category), ...(e.names ?? []), ...(e.addresses ?? [])];
  return (
    <tr>
      <td>
        <Clipped className="mono" text={e.id} />
      </td>
      <td>
        <span className={e.kind === "block" ? "kind kind-anomaly" : "kind"}>{t(`gateway.choice_${e.kind}`)}</span>
      </td>
      <td>
        <Clipped text={what.join(", ")} />
      </td>
      <td className="break">
        <Text text={e.reason ?? ""} />
      </td>
      <td className="exceptions-actions">
        {may("administer") && (
          <>
            <Button
              type="text"
              size="small"
              icon={<EditOutlined aria-hidden />}
              aria-label={t("gateway.edit_what", { name: e.id })}
              title={t("gateway.edit_what", { name: e.id })}
              onClick={edit}
            />
            <Button
              type="text"
              size="small"
              icon={<DeleteOutlined aria-hidden />}
              aria-label={t("gateway.delete_what", { name: e.id })}
              title={t("gateway.delete_what", { name: e.id })}
              onClick={ask}
            />
          </>
        )}
      </td>
    </tr>
  );
}
