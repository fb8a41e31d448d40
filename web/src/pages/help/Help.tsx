import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, NavLink, useLocation, useParams } from "react-router";
import { useTitle } from "../../components/title";
import { docs } from "./docs";
import { Markdown } from "./Markdown";

/** The documentation that this version came with. */
export default function Help() {
  const { t } = useTranslation();
  const { page } = useParams();
  const { hash } = useLocation();
  const doc = docs.find((d) => d.page === page);
  useTitle(doc ? doc.title : t("nav.help"));
  useEffect(() => {
    const place = hash === "" ? null : document.getElementById(decodeURIComponent(hash.slice(1)));
    if (!place) {
      document.getElementById("main")?.scrollTo(0, 0);
      return;
    }
    place.classList.add("doc-place");
    place.scrollIntoView({ block: "center" });
    return () => place.classList.remove("doc-place");
  }, [page, hash]);
  if (!doc) return <Navigate to={`/help/${docs[0]?.page ?? ""}`} replace />;
  return (
    <div className="page help">
      <nav aria-label={t("help_page.pages")}>
        <ul>
          {docs.map((d) => (
            <li key={d.page}>
              <NavLink to={`/help/${d.page}`} lang="en">
                {d.title}
              </NavLink>
            </li>
          ))}
        </ul>
        <p className="muted small">{t("help_page.note")}</p>
      </nav>
      <article className="card document" lang="en">
        <Markdown text={doc.text} page={doc.page} />
      </article>
    </div>
  );
}
