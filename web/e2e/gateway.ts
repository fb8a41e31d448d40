import type { Page } from "playwright-core";
import type {
  Application,
  Authority,
  Distrust,
  Exception,
  Gateway,
  GatewayChange,
  Pin,
  StoredPolicy,
} from "../src/api/types";
import { payload } from "./traffic";

const day = 24 * 3600_000;
const inDays = (days: number) => new Date(Date.now() + days * day).toISOString();
const max = 20_000;

/**
 * A gateway in place of the server's own answers, with what takes weeks or many machines to come about: learnt pins, clients that do not trust
 * it, certificates that end. What the pages send is tested against the server.
 */
export class Gate {
  running = true;
  authorities: Authority[] = [
    {
      ...{
        name: "office",
        subject: "CN=Office inspection CA,O=Example",
        issuer: "CN=Example Root,O=Example",
        trial: false,
      },
      ...{ not_before: inDays(-400), not_after: inDays(290), key_type: "ECDSA P-256", chain_length: 2 },
      ...{ fingerprint_sha256: "5f3a".repeat(16), used_by: ["office", "servers"], reminder: "below_one_year" },
    },
    {
      ...{ name: "trial", subject: "CN=Vitrine trial 4711", issuer: "CN=Vitrine trial 4711", trial: true },
      ...{ not_before: inDays(-65), not_after: inDays(25), key_type: "ECDSA P-256", chain_length: 1 },
      ...{ fingerprint_sha256: "09bc".repeat(16), used_by: [], reminder: "below_30_days" },
    },
  ];
  policies: StoredPolicy[] = [
    policy("servers", "Servers to the internet", true, ["db", "web"], 96),
    policy("office", "The office", false, ["browsers"], 4_240),
    policy("guests", payload, true, ["guests"], 1),
  ];
  exceptions: Exception[] = [
    { id: "privacy", kind: "bypass", categories: ["banking", "health"], reason: "nobody's business" },
    { id: "malware", kind: "block", names: ["evil.example", "*.evil.example"], addresses: ["203.0.113.0/24"] },
    { id: "hostile", kind: "bypass", names: ["x.example"], reason: payload },
  ];
  pins: Pin[] = [
    pin("updates.vendor.example", "learnt", 41, 6, true, inDays(0.4)),
    pin("bank-app.example", "approved", 12, 3, true),
    pin("telemetry.example", "suspected", 2, 1, false, inDays(0.9)),
    pin(payload, "rejected", 7, 2, false, inDays(20)),
  ];
  distrust: Distrust[] = [
    { client: "10.1.0.23", count: 311, names: ["example.com", "updates.example"], last_seen: inDays(-0.01) },
    { client: "2001:db8::23", count: 4, names: [payload], last_seen: inDays(-2) },
  ];
  rules = "rules:\n- id: no-uploads\n  action: block\n  applications: [google-drive]\n  activities: [upload]\n";
  applications: Application[] = [
    { id: "google-drive", name: "Google Drive", kind: "storage", urls: ["drive.google.com", "docs.google.com"] },
    { id: "hostile", name: payload, kind: "work", urls: [payload] },
  ];
  changes: GatewayChange[] = [
    change("policy.enable", "office", "4,240 units, authority office"),
    change("authority.import", "office", "CN=Office inspection CA"),
  ];

  async answer(page: Page): Promise<void> {
    const tell = (path: string, body: () => unknown) =>
      page.route(`**/api/v1/gateway${path}`, (route) => route.fulfill({ json: body() }));
    await tell("", () => this.gateway());
    await tell("/policies", () => ({ policies: this.policies, quota: this.quota() }));
    await tell("/policy-check", () => ({ problems: [], quota: { ...this.quota(), scopes: [] } }));
    await tell("/authorities", () => ({ authorities: this.authorities }));
    await tell("/exceptions", () => ({ exceptions: this.exceptions }));
    await tell("/categories", () => ({
      categories: ["banking", "health", "government"].map((id) => ({ id, names: [], count: 100 })),
    }));
    await page.route("**/api/v1/gateway/pins/*/approve", (route) => {
      const id = decodeURIComponent(new URL(route.request().url()).pathname.split("/").at(-2) ?? "");
      this.pins = this.pins.map((p) => (p.id === id ? { ...p, state: "approved", expires: undefined } : p));
      return route.fulfill({ status: 204 });
    });
    await tell("/pins", () => ({ pins: this.pins }));
    await tell("/rules", () => ({ text: this.rules }));
    await tell("/applications", () => ({ applications: this.applications }));
    await tell("/distrust", () => ({ clients: this.distrust }));
    await tell("/changes", () => ({ changes: this.changes }));
  }

  private quota() {
    const used = this.policies.reduce((n, p) => n + p.quota_used, 0);
    return { used, left: max - used, max };
  }

  private gateway(): Gateway {
    return {
      running: this.running,
      ...(!this.running && { why_not: "the server was started without --gateway" }),
      faults: [],
      listeners: [
        { kind: "connect", address: "127.0.0.1:3128" },
        { kind: "socks5", address: "127.0.0.1:1080" },
        { kind: "transparent", address: "0.0.0.0:15443" },
      ],
      stats: {
        ...{ open: 118, inspected: 48_211, bypassed: 1_733, blocked: 27, over_capacity: 0, unreachable: 41 },
        ...{ guarded: 3, refused: 0, faults: { expired: 4 } },
        reasons: { bypassed_by_policy: 1_212, client_certificate: 402, client_refused: 311, blocked_by_policy: 27 },
      },
      quota: this.quota(),
      authorities: this.authorities,
    };
  }
}

function policy(id: string, name: string, enabled: boolean, scopes: string[], units: number): StoredPolicy {
  return {
    ...{
      id,
      name,
      description: `TLS of the ${id}`,
      authority: "office",
      disabled: !enabled,
      quota_used: units,
      cases: {},
    },
    scopes: scopes.map((scope) => ({
      ...{ id: scope, description: "", sources: ["10.1.0.0/16", "10.2.0.7"], source_ports: ["0/65535"] },
      ...{ destinations: ["0.0.0.0/0"], destination_ports: ["443/443", "8443/8450"], allow_quic: false },
    })),
  };
}

function pin(
  name: string,
  state: Pin["state"],
  count: number,
  clients: number,
  everybody: boolean,
  expires?: string,
): Pin {
  return {
    ...{ id: `pin-${count}`, name, address: "192.0.2.7:443", state, reason: "refused", count, clients, everybody },
    ...{ first_seen: inDays(-9), last_seen: inDays(-0.1), ...(expires && { expires }) },
  };
}

function change(action: string, object: string, summary: string): GatewayChange {
  return { time: inDays(-0.2), user: "admin", action, object, summary, outcome: "ok" };
}
