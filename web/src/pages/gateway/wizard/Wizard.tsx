import { Spin } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";
import { useAuthorities, usePolicies } from "../../../api/gateway";
import { ErrorBox } from "../../../components/ErrorBox";
import { Editor } from "./Editor";

/** The page on which a policy is made, or changed. */
export function Wizard() {
  const { t } = useTranslation();
  const { id } = useParams();
  const policies = usePolicies();
  // The first of them stands chosen from the beginning, and is checked with the rest.
  const authorities = useAuthorities();
  // What others change meanwhile does not change what is being written here.
  const [key] = useState(() => Date.now());
  if (policies.error) return <ErrorBox error={policies.error} retry={policies.refetch} />;
  if (!policies.data || authorities.isPending) return <Spin className="page-spin" size="large" />;
  const list = policies.data.policies;
  const policy = list.find((p) => p.id === id);
  if (id !== undefined && !policy) return <p>{t("error.status_404")}</p>;
  const others = policies.data.quota.used - (policy?.quota_used ?? 0);
  return <Editor key={`${key} ${id}`} policy={policy} others={others} max={policies.data.quota.max} />;
}
