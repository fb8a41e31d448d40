import { Spin } from "antd";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, NavLink, Route, Routes, useLocation } from "react-router";
import type { Session } from "../api/types";
import { AccountMenu } from "../components/AccountMenu";
import { Brand } from "../components/Brand";
import { LookSwitches } from "../components/LookSwitches";
import { PermissionsContext, useMay } from "../components/permissions";
import { RangePicker } from "../components/RangePicker";
import { useRange } from "../components/range";
import { ZoneSwitch } from "../components/ZoneSwitch";
import { putRange } from "../format/range";

const Overview = lazy(() => import("./overview/Overview"));
const Logs = lazy(() => import("./logs/Logs"));
const Coverage = lazy(() => import("./coverage/Coverage"));
const Gateway = lazy(() => import("./gateway/Gateway"));
const Import = lazy(() => import("./import/Import"));
const System = lazy(() => import("./system/System"));
const Access = lazy(() => import("./access/Access"));
const Help = lazy(() => import("./help/Help"));

/** What surrounds every page: the way to the others, the time range, the account. */
export default function Shell({ session }: { session: Session }) {
  const { t } = useTranslation();
  const timed = /^\/(overview|logs)/.test(useLocation().pathname);
  return (
    <PermissionsContext value={session.permissions}>
      <a className="skip-link" href="#main">
        {t("nav.skip")}
      </a>
      <header className="header">
        <Brand />
        <Navigation />
        <div className="header-tools">
          {timed && <RangePicker />}
          <ZoneSwitch />
          <LookSwitches />
          <AccountMenu user={session.user} version={session.version} />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Suspense fallback={<Spin className="page-spin" size="large" />}>
          <Routes>
            <Route path="/overview" element={<Overview />} />
            <Route path="/logs" element={<Logs />} />
            <Route path="/coverage" element={<Coverage />} />
            <Route path="/gateway/*" element={<Gateway />} />
            <Route path="/import" element={<Import />} />
            <Route path="/system" element={<System />} />
            <Route path="/access" element={<Access />} />
            <Route path="/help/:page?" element={<Help />} />
            <Route path="*" element={<Navigate to="/overview" replace />} />
          </Routes>
        </Suspense>
      </main>
    </PermissionsContext>
  );
}

function Navigation() {
  const { t } = useTranslation();
  const [range] = useRange();
  const may = useMay();
  const params = new URLSearchParams();
  putRange(params, range);
  const search = params.toString();
  return (
    <nav aria-label={t("nav.label")}>
      {["overview", "logs", "coverage", "gateway", ...(may("import") ? ["import"] : []), "system", "help"].map(
        (page) => (
          <NavLink key={page} to={{ pathname: `/${page}`, search }}>
            {t(`nav.${page}`)}
          </NavLink>
        ),
      )}
    </nav>
  );
}
