import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { get } from "node:https";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    address: string;
    password: string;
  }
}

const program = join(import.meta.dirname, "../../bin/vitrine");
const password = "console-under-test";

/**
 * Gives the tests a server: the one that VITRINE_E2E_URL and VITRINE_E2E_PASSWORD name, else a `vitrine up` of their own on an
 * empty data folder.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { VITRINE_E2E_URL: url, VITRINE_E2E_PASSWORD: secret } = process.env;
  if (url && secret) {
    project.provide("address", url.replace(/\/$/, ""));
    project.provide("password", secret);
    return () => Promise.resolve();
  }
  if (!existsSync(program)) throw new Error("bin/vitrine is missing: run make build first");
  const data = mkdtempSync(join(tmpdir(), "vitrine-e2e-data-"));
  const listen = `127.0.0.1:${await freePort()}`;
  const gateway = ["--gateway", "--connect", "127.0.0.1:0", "--socks5", "127.0.0.1:0"];
  const server = spawn(program, ["up", "--data", data, "--listen", listen, ...gateway], {
    env: { ...process.env, VITRINE_ADMIN_PASSWORD: password },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  server.stderr.on("data", (text: Buffer) => (log = (log + text.toString()).slice(-8000)));
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const stop = async () => {
    server.kill("SIGTERM");
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
  const address = `https://${listen}`;
  for (let tries = 0; !(await healthy(address)); tries++) {
    if (tries > 240 || server.exitCode !== null) {
      await stop();
      throw new Error(`vitrine up does not answer:\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  project.provide("address", address);
  project.provide("password", password);
  return stop;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** The certificate is the server's own, made at its first start. */
function healthy(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    get(`${address}/healthz`, { rejectUnauthorized: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    }).on("error", () => resolve(false));
  });
}
