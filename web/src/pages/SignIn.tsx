import { Alert, Button, Form, Input } from "antd";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { APIError } from "../api/client";
import { useSignIn } from "../api/queries";
import { Brand } from "../components/Brand";
import { LookSwitches } from "../components/LookSwitches";
import { useErrorText } from "../components/errors";

/** Asks who is there. */
export function SignIn() {
  const { t } = useTranslation();
  const signIn = useSignIn();
  useEffect(() => {
    document.title = `${t("sign_in.title")} · Vitrine`;
  }, [t]);
  return (
    <main className="sign-in">
      <div className="sign-in-switches">
        <LookSwitches />
      </div>
      <div className="sign-in-card">
        <h1>
          <Brand large />
        </h1>
        <p className="muted">{t("sign_in.claim")}</p>
        <Form
          layout="vertical"
          requiredMark={false}
          onFinish={(values: { username: string; password: string }) => signIn.mutate(values)}
        >
          {signIn.error && <SignInError error={signIn.error} />}
          <Form.Item
            label={t("sign_in.username")}
            name="username"
            rules={[{ required: true, message: t("sign_in.username_missing") }]}
          >
            <Input
              autoFocus
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              maxLength={128}
              size="large"
            />
          </Form.Item>
          <Form.Item
            label={t("sign_in.password")}
            name="password"
            rules={[{ required: true, message: t("sign_in.password_missing") }]}
          >
            <Input.Password autoComplete="current-password" maxLength={1024} size="large" />
          </Form.Item>
          <Button type="primary" htmlType="submit" size="large" block loading={signIn.isPending}>
            {t("sign_in.submit")}
          </Button>
        </Form>
        <p className="muted sign-in-hint">{t("sign_in.first")}</p>
      </div>
    </main>
  );
}

function SignInError({ error }: { error: Error }) {
  const { t } = useTranslation();
  const text = useErrorText();
  const status = error instanceof APIError ? error.status : undefined;
  const known = status === 401 ? t("sign_in.wrong") : status === 429 ? t("sign_in.too_many") : text(error);
  return <Alert type={status === 429 ? "warning" : "error"} showIcon title={known} role="alert" />;
}
