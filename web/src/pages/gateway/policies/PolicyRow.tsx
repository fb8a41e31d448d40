import { ArrowDownOutlined, ArrowUpOutlined, DeleteOutlined, EditOutlined } from "@ant-design/icons";
import { App, Button, Switch } from "antd";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { useDeletePolicy, useOrderPolicies, useSwitchPolicy } from "../../../api/gateway";
import type { StoredPolicy } from "../../../api/types";
import { useConfirm } from "../../../components/confirm";
import { useErrorText } from "../../../components/errors";
import { useFormat } from "../../../components/format";
import { useMay } from "../../../components/permissions";
import { Clipped, Text } from "../../../components/Text";
import { moved } from "./order";

interface Props {
  policy: StoredPolicy;
  /** Its place among all. */
  at: number;
  ids: string[];
}

/** A policy in the list: its place, what it is about, whether it is in force. */
export function PolicyRow({ policy, at, ids }: Props) {
  const { t } = useTranslation();
  const { count } = useFormat();
  const may = useMay();
  const name = policy.name || policy.id;
  const scopes = policy.scopes ?? [];
  return (
    <tr>
      <td className="policies-order">
        <Order name={name} at={at} ids={ids} />
      </td>
      <td>
        {may("administer") ? (
          <Link to={`/gateway/policies/${encodeURIComponent(policy.id)}`}>
            <Clipped text={name} />
          </Link>
        ) : (
          <Clipped text={name} />
        )}
        <Clipped className="mono muted" text={policy.id} />
        <Clipped className="muted small" text={policy.description ?? ""} />
      </td>
      <td>
        <ul>
          {scopes.map((s) => (
            <li key={s.id} title={s.description}>
              <Clipped className="mono" text={s.id} />
            </li>
          ))}
        </ul>
        {scopes.length === 0 && <span className="muted">{t("gateway.no_scopes")}</span>}
      </td>
      <td className="policies-quota">{count(policy.quota_used)}</td>
      <td>
        <Text text={policy.authority || t("gateway.first_authority")} />
      </td>
      <td>
        <StatusSwitch policy={policy} name={name} />
      </td>
      <td className="policies-actions">
        <Actions policy={policy} name={name} />
      </td>
    </tr>
  );
}

function Order({ name, at, ids }: { name: string; at: number; ids: string[] }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const text = useErrorText();
  const may = useMay();
  const order = useOrderPolicies();
  const button = (by: -1 | 1) => (
    <Button
      type="text"
      size="small"
      disabled={order.isPending || at + by < 0 || at + by >= ids.length}
      icon={by < 0 ? <ArrowUpOutlined aria-hidden /> : <ArrowDownOutlined aria-hidden />}
      aria-label={by < 0 ? t("gateway.move_up", { name }) : t("gateway.move_down", { name })}
      title={by < 0 ? t("gateway.move_up", { name }) : t("gateway.move_down", { name })}
      onClick={() => order.mutate(moved(ids, at, by), { onError: (error) => void message.error(text(error)) })}
    />
  );
  return (
    <>
      <span className="policies-place">{at + 1}</span>
      {may("administer") && ids.length > 1 && (
        <>
          {button(-1)}
          {button(1)}
        </>
      )}
    </>
  );
}

/** The switch asks first, and says what happens to connections. */
function StatusSwitch({ policy, name }: { policy: StoredPolicy; name: string }) {
  const { t } = useTranslation();
  const confirm = useConfirm();
  const may = useMay();
  const change = useSwitchPolicy();
  const on = !policy.disabled;
  const ask = () =>
    confirm(
      on
        ? { title: t("gateway.disable_title", { name }), content: t("gateway.disable_note"), ok: t("gateway.disable") }
        : { title: t("gateway.enable_title", { name }), content: t("gateway.enable_note"), ok: t("gateway.enable") },
      () => change.mutateAsync({ id: policy.id, on: !on }),
    );
  return (
    <span className={on ? "state state-good" : "state"}>
      <Switch
        size="small"
        checked={on}
        disabled={!may("administer")}
        loading={change.isPending}
        aria-label={t("gateway.switch", { name })}
        onClick={ask}
      />
      {on ? t("gateway.enabled") : t("gateway.disabled")}
    </span>
  );
}

function Actions({ policy, name }: { policy: StoredPolicy; name: string }) {
  const { t } = useTranslation();
  const { modal } = App.useApp();
  const confirm = useConfirm();
  const navigate = useNavigate();
  const may = useMay();
  const remove = useDeletePolicy();
  if (!may("administer")) return null;
  const ask = () =>
    policy.disabled
      ? confirm(
          {
            title: t("gateway.delete_title", { name }),
            content: t("gateway.delete_note"),
            ok: t("gateway.delete"),
            danger: true,
          },
          () => remove.mutateAsync(policy.id),
        )
      : void modal.info({
          title: t("gateway.delete_refused", { name }),
          content: t("gateway.delete_refused_note"),
          okText: t("action.close"),
        });
  return (
    <>
      <Button
        type="text"
        size="small"
        icon={<EditOutlined aria-hidden />}
        aria-label={t("gateway.edit_what", { name })}
        title={t("gateway.edit_what", { name })}
        onClick={() => void navigate(`/gateway/policies/${encodeURIComponent(policy.id)}`)}
      />
      <Button
        type="text"
        size="small"
        icon={<DeleteOutlined aria-hidden />}
        aria-label={t("gateway.delete_what", { name })}
        title={t("gateway.delete_what", { name })}
        onClick={ask}
      />
    </>
  );
}
