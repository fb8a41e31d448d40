import { Spin } from "antd";
import { lazy, Suspense } from "react";
import { APIError } from "../api/client";
import { useSession } from "../api/queries";
import { ErrorBox } from "../components/ErrorBox";
import { SignIn } from "./SignIn";

const Shell = lazy(() => import("./Shell"));

/** The console for who is signed in, the sign-in page for who is not. The address stays, so one arrives where one meant to. */
export function Session() {
  const session = useSession();
  if (session.data) {
    return (
      <Suspense fallback={<Spin className="page-spin" size="large" />}>
        <Shell session={session.data} />
      </Suspense>
    );
  }
  if (session.isPending) return <Spin className="page-spin" size="large" />;
  if (session.error instanceof APIError && session.error.status === 401) return <SignIn />;
  return (
    <main className="page-error">
      <ErrorBox error={session.error} retry={session.refetch} />
    </main>
  );
}
