import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The development server hands /api to a running Vitrine; VITRINE_SERVER says where it is.
const server = process.env.VITRINE_SERVER ?? "https://127.0.0.1:8443";

export default defineConfig({
  plugins: [react()],
  server: {
    proxy: { "/api": { target: server, secure: false, changeOrigin: true } },
    fs: { allow: [".", "../docs"] }, // the documentation is a part of the console
  },
  build: {
    target: "es2023",
    // Inlined files would be data: addresses, which the policy allows for nothing but images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "react", test: /node_modules\/(react|react-dom|scheduler|react-router)\// },
            { name: "editor", test: /node_modules\/(@codemirror|@lezer|style-mod|crelt|w3c-keyname)\// },
            { name: "uplot", test: /node_modules\/uplot\// },
          ],
        },
      },
    },
  },
  test: { include: ["src/**/*.test.ts"] },
});
