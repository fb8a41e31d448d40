import { QueryClient, QueryClientProvider, MutationCache, QueryCache } from "@tanstack/react-query";
import { App as AntApp, ConfigProvider } from "antd";
import enUS from "antd/locale/en_US";
import zhCN from "antd/locale/zh_CN";
import dayjs from "dayjs";
import "dayjs/locale/zh-cn";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { createBrowserRouter, RouterProvider } from "react-router";
import { APIError } from "./api/client";
import { usePreference } from "./components/preferences";
import { useAntTheme, useMode, usePaletteInCSS } from "./components/theme";
import { nonce } from "./components/nonce";
import { popups } from "./components/popups";
import { Session } from "./pages/Session";

const onError = (error: Error, query?: { queryKey: readonly unknown[] }) => {
  // The session has ended: asking who is signed in brings the sign-in page.
  if (error instanceof APIError && error.status === 401 && query?.queryKey[0] !== "session") {
    void queries.resetQueries({ queryKey: ["session"] });
  }
};

const queries = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({
    onError: (error, _variables, _result, mutation) => onError(error, { queryKey: mutation.options.mutationKey ?? [] }),
  }),
  defaultOptions: {
    queries: {
      retry: (failures, error) =>
        failures < 2 &&
        !(error instanceof APIError && ((error.status >= 400 && error.status < 500) || error.status === 504)),
    },
  },
});

/** Pages know their own routes; the router is one that can keep a page from being left. */
const router = createBrowserRouter([{ path: "*", element: <Session /> }]);

/** Everything that is on the page, in the person's language and colours. */
export function App() {
  const mode = useMode();
  const [language] = usePreference("language");
  const { i18n } = useTranslation();
  const theme = useAntTheme(mode);
  usePaletteInCSS();
  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    dayjs.locale(language === "zh" ? "zh-cn" : "en");
    void i18n.changeLanguage(language);
  }, [language, i18n]);
  return (
    <QueryClientProvider client={queries}>
      <ConfigProvider
        theme={theme}
        locale={language === "zh" ? zhCN : enUS}
        csp={{ nonce }}
        getPopupContainer={popups}
        button={{ autoInsertSpace: false }}
      >
        <AntApp component={false}>
          <RouterProvider router={router} />
        </AntApp>
      </ConfigProvider>
    </QueryClientProvider>
  );
}
