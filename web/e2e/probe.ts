import type { Page, Route } from "playwright-core";
import type { FilterRules, FilterState, Probe, ProcessCoverage } from "../src/api/types";
import { payload } from "./traffic";

/**
 * A machine with a probe, in place of the server's own answers: the states that the page must show can't be had on any machine at will. What
 * the page sends is checked by the server's own tests.
 */
export class Machine {
  probe: Probe = {
    state: "running",
    since: ago(3600),
    cpu: 0.013,
    cpu_limit: 0.6,
    memory: 48 << 20,
    memory_limit: 500 << 20,
    capabilities: [
      { name: "ring buffer", available: true },
      { name: "type information", available: false, detail: "connections are looked up in /proc instead" },
      { name: "multi-uprobe", available: true },
    ],
    libraries: [
      { library: "openssl", version: "3.0.19", path: "/usr/lib/x86_64-linux-gnu/libssl.so.3", hooks: 14, processes: 3 },
      { library: "go", version: "go1.26.0", path: "/usr/local/bin/shop", hooks: 9, processes: 1 },
    ],
    lost: [{ reason: "buffer_full", count: 0 }],
  };
  processes: ProcessCoverage[] = [
    entry(812, "nginx", "nginx: worker process", { library: "openssl", version: "3.0.19", bytes: 48_211_330 }),
    entry(4711, "curl", "curl -sS https://example.com/", { library: "openssl", version: "3.0.19", bytes: 1_512 }),
    entry(2201, "shop", "/usr/local/bin/shop --listen :8443", {
      ...{ library: "go", version: "go1.26.0", bytes: 913_004, path: "/usr/local/bin/shop" },
      container: { id: "3f1c9a", image: "registry.example.com/shop:1.4", pod: "shop-7d4b-x2x", namespace: "store" },
    }),
    entry(1533, "java", "java -jar billing.jar", {
      ...{ state: "not_covered", reason: "unknown_library", cause: "java", detail: "its TLS is Java's own" },
      container: { id: "77aa10", image: "registry.example.com/billing:9", pod: "billing-0", namespace: "store" },
    }),
    ...[3001, 3002, 3007].map((pid) =>
      entry(pid, "chromium", `/usr/lib/chromium/chromium --type=utility --number=${pid}`, {
        ...{ state: "not_covered", reason: "no_symbols", cause: "stripped", library: "boringssl" },
        detail: "TLS library without symbols: BoringSSL is linked in and its symbols are removed",
        ...{ path: "/usr/lib/chromium/chromium", bytes: 0 },
      }),
    ),
    entry(990, payload, `sync ${payload}`, {
      ...{ state: "not_covered", reason: "no_symbols", library: "boringssl", path: `/opt/${payload}/sync` },
    }),
  ];
  filter: FilterState = { filter: { mode: "everything", rules: [] } };
  /** What was put in force, in order. */
  readonly set: FilterRules[] = [];

  async answer(page: Page): Promise<void> {
    await page.route("**/api/v1/probe", (route) => route.fulfill({ json: this.probe }));
    await page.route("**/api/v1/probe/coverage", (route) => route.fulfill({ json: { processes: this.processes } }));
    await page.route("**/api/v1/probe/filter", (route) => this.onFilter(route));
    await page.route("**/api/v1/probe/filter/preview", (route) => this.onPreview(route));
    await page.route("**/api/v1/probe/resume", (route) => {
      this.probe = { ...this.probe, state: "running", reason: undefined, detail: undefined };
      return route.fulfill({ json: this.probe });
    });
  }

  private onFilter(route: Route): Promise<void> {
    if (route.request().method() === "PUT") {
      const rules = route.request().postDataJSON() as FilterRules;
      if (rules.mode !== "everything" && rules.rules.some((r) => Object.keys(r).length === 0)) return refuse(route);
      this.set.push(rules);
      this.filter = { filter: rules, previous: this.filter.filter, changed: new Date().toISOString(), actor: "admin" };
    }
    return route.fulfill({ json: this.filter });
  }

  /** Knows names and ports only: enough for a page that shows what it is told. */
  private onPreview(route: Route): Promise<void> {
    const { mode, rules } = route.request().postDataJSON() as FilterRules;
    const bad = rules.findIndex((r) => r.ports?.some((p) => !/^\d+(-\d+)?$/.test(p)));
    if (bad >= 0) return refuse(route, `body.rules[${bad}].ports[0]`, "it is no port");
    if (mode !== "everything" && rules.some((r) => Object.keys(r).length === 0)) return refuse(route);
    const processes = this.processes.map(({ process, container }) => {
      const rule = rules.find((r) => r.name === undefined || r.name === process.name);
      const seen = rule?.ports
        ? "partly"
        : (rule !== undefined) === (mode === "only") || mode === "everything"
          ? "yes"
          : "no";
      return { process, container, seen };
    });
    return route.fulfill({ json: { processes } });
  }
}

function refuse(route: Route, location = "body.rules[0]", message = "the rule says nothing"): Promise<void> {
  const json = { title: "Unprocessable Entity", status: 422, detail: message, errors: [{ location, message }] };
  return route.fulfill({ status: 422, contentType: "application/problem+json", json });
}

function ago(seconds: number): string {
  return new Date(Date.now() - 1000 * seconds).toISOString();
}

function entry(pid: number, name: string, commandLine: string, rest: Partial<ProcessCoverage>): ProcessCoverage {
  return {
    process: { pid, name, exe: `/usr/bin/${name}`, command_line: commandLine, uid: 33, start: ago(pid) },
    ...{ state: "covered", path: "/usr/lib/x86_64-linux-gnu/libssl.so.3", since: ago(pid), bytes: 0 },
    ...rest,
  };
}
