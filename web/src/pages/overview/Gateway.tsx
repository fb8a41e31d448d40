import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useGateway } from "../../api/gateway";
import { Status } from "../gateway/Status";

/** What the gateway did since it was started; nothing where there is none. */
export function Gateway() {
  const { t } = useTranslation();
  const gateway = useGateway();
  if (!gateway.data?.running) return null;
  return (
    <section className="card" aria-labelledby="gateway-title">
      <div className="card-head">
        <h2 id="gateway-title">
          <Link to="/gateway/policies">{t("nav.gateway")}</Link>
        </h2>
        <span className="muted">{t("gateway.status_title")}</span>
      </div>
      <Status gateway={gateway.data} />
    </section>
  );
}
