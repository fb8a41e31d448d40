import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { Link, Navigate, Route, Routes, useLocation } from "react-router";
import { useGateway } from "../../api/gateway";
import { ErrorBox } from "../../components/ErrorBox";
import { useMay } from "../../components/permissions";
import { Text } from "../../components/Text";
import { useTitle } from "../../components/title";
import { Certificates } from "./certificates/Certificates";
import { Install } from "./certificates/Install";
import { Changes } from "./Changes";
import { Distrust } from "./Distrust";
import { Exceptions } from "./exceptions/Exceptions";
import { Off } from "./Off";
import { partOf } from "./parts";
import { Policies } from "./policies/Policies";
import { Rules } from "./rules/Rules";
import { Wizard } from "./wizard/Wizard";

const parts = ["policies", "certificates", "distrust", "exceptions", "rules"] as const;

/** What the gateway looks into, with which certificates, and what it leaves alone. */
export default function Gateway() {
  const { t } = useTranslation();
  useTitle(t("nav.gateway"));
  const gateway = useGateway();
  return (
    <div className="page">
      <h1>{t("nav.gateway")}</h1>
      <Parts />
      {gateway.error && <ErrorBox error={gateway.error} retry={gateway.refetch} />}
      {gateway.data?.running === false && <Off gateway={gateway.data} />}
      {gateway.data && gateway.data.faults.length > 0 && <Faults faults={gateway.data.faults} />}
      <Routes>
        <Route index element={<Navigate to="policies" replace />} />
        <Route path="policies" element={<Policies />} />
        <Route path="policies/:id" element={<Wizard />} />
        <Route path="new-policy" element={<Wizard />} />
        <Route path="certificates" element={<Certificates />} />
        <Route path="certificates/:name/:platform?" element={<Install />} />
        <Route path="distrust" element={<Distrust />} />
        <Route path="exceptions" element={<Exceptions />} />
        <Route path="rules" element={<Rules />} />
        <Route path="changes" element={<Changes />} />
        <Route path="*" element={<Navigate to="/gateway/policies" replace />} />
      </Routes>
    </div>
  );
}

/** What keeps enabled policies from being in force. */
function Faults({ faults }: { faults: string[] }) {
  const { t } = useTranslation();
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      title={<strong>{t("gateway.faults_title")}</strong>}
      description={faults.map((fault) => (
        <p key={fault}>
          <Text text={fault} />
        </p>
      ))}
    />
  );
}

function Parts() {
  const { t } = useTranslation();
  const may = useMay();
  const here = partOf(useLocation().pathname);
  return (
    <nav className="parts" aria-label={t("gateway.parts")}>
      {[...parts, ...(may("administer") ? (["changes"] as const) : [])].map((part) => (
        <Link
          key={part}
          to={`/gateway/${part}`}
          {...(part === here && { className: "active", "aria-current": "page" as const })}
        >
          {t(`gateway.part_${part}`)}
        </Link>
      ))}
    </nav>
  );
}
