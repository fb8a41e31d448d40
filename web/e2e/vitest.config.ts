import { defineConfig } from "vitest/config";

// One server and one browser: the files run one after the other.
export default defineConfig({
  test: {
    include: ["e2e/*.test.ts"],
    globalSetup: "e2e/server.ts",
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } }, // a page may take a while to say what it will
  },
});
