import type { Cases, Policy, Scope } from "../../../api/types";
import { listOf, rangesOf, textOf } from "../lists";

/** As many as the server takes. */
export const maxScopes = 10;

/** What a scope's lists are called, in the order of the form. */
export const lists = ["sources", "source_ports", "destinations", "destination_ports"] as const;

export type List = (typeof lists)[number];

/** A scope as it stands in the form: text in every list. */
export interface ScopeDraft {
  /** Tells scopes apart while they are written; the server does not see it. */
  key: number;
  id: string;
  description: string;
  sources: string;
  source_ports: string;
  destinations: string;
  destination_ports: string;
  allow_quic: boolean;
}

/** A policy as it stands in the form. */
export interface Draft {
  id: string;
  /** The id follows the name until somebody writes one. */
  ownID: boolean;
  name: string;
  description: string;
  authority: string;
  disabled: boolean;
  scopes: ScopeDraft[];
  cases: Required<Cases>;
}

/** What can be done in each case, the default first. */
export const choices = {
  bad_certificate: ["mirror", "block"],
  client_certificate: ["bypass", "block"],
  unsupported: ["bypass", "block"],
  no_name: ["inspect", "bypass", "block"],
  pinned: ["bypass", "inspect", "block"],
  not_tls: ["inspect", "bypass", "block"],
  over_capacity: ["bypass", "block"],
} as const;

export type Case = keyof typeof choices;

export const cases = Object.keys(choices) as Case[];

let keys = 0;

export function newScope(number: number): ScopeDraft {
  return {
    ...{ key: keys++, id: `scope-${number}`, description: "", allow_quic: false },
    ...{ sources: "", source_ports: "0/65535", destinations: "0.0.0.0/0\n::/0", destination_ports: "443/443" },
  };
}

function scopeDraftOf(scope: Scope): ScopeDraft {
  return {
    key: keys++,
    id: scope.id,
    description: scope.description ?? "",
    sources: textOf(scope.sources),
    source_ports: textOf(scope.source_ports),
    destinations: textOf(scope.destinations),
    destination_ports: textOf(scope.destination_ports),
    allow_quic: scope.allow_quic ?? false,
  };
}

/** The draft of a policy that is there, or of a new one. */
export function draftOf(policy: Policy | undefined): Draft {
  const set = Object.fromEntries(cases.map((c) => [c, policy?.cases?.[c] ?? ""])) as Required<Cases>;
  return {
    id: policy?.id ?? "",
    ownID: policy !== undefined,
    name: policy?.name ?? "",
    description: policy?.description ?? "",
    authority: policy?.authority ?? "",
    disabled: policy?.disabled ?? true,
    scopes: policy ? (policy.scopes ?? []).map(scopeDraftOf) : [newScope(1)],
    cases: set,
  };
}

/** What an id may be made of; the server has the same rule. */
export function idOf(name: string): string {
  return name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[^a-z0-9]+|-+$/g, "")
    .slice(0, 64);
}

/** The scope of a draft. What it says is checked by the server. */
export function scopeOf(draft: ScopeDraft): Scope {
  return {
    id: draft.id.trim(),
    description: draft.description.trim(),
    sources: listOf(draft.sources),
    source_ports: rangesOf(draft.source_ports),
    destinations: listOf(draft.destinations),
    destination_ports: rangesOf(draft.destination_ports),
    allow_quic: draft.allow_quic,
  };
}

export function policyOf(draft: Draft): Policy {
  const { name, description, authority, disabled, scopes, cases } = draft;
  return {
    ...{ id: draft.id.trim(), name: name.trim(), description: description.trim(), authority, disabled, cases },
    scopes: scopes.map(scopeOf),
  };
}

/** The factors of a scope's quota, and their product. A list of ports that is empty stands for one range. */
export interface Units {
  sources: number;
  source_ports: number;
  destinations: number;
  destination_ports: number;
  product: number;
}

export function unitsOf(scope: Scope): Units {
  const sources = scope.sources?.length ?? 0;
  const destinations = scope.destinations?.length ?? 0;
  const source_ports = Math.max(1, scope.source_ports?.length ?? 0);
  const destination_ports = Math.max(1, scope.destination_ports?.length ?? 0);
  return {
    ...{ sources, source_ports, destinations, destination_ports },
    product: sources * source_ports * destinations * destination_ports,
  };
}

/** The step of the wizard on which a problem can be mended. */
export function stepOf({ field }: { field: string }): number {
  return /^(scopes|cases)\b/.test(field) ? 1 : 0;
}

/** The problems without those of fields that nothing was written into yet: they are no mistakes before somebody is done. */
export function withoutEmpty<P extends { field: string }>(problems: readonly P[], draft: Draft): P[] {
  return problems.filter(({ field }) => {
    const [, index, list] = /^scopes\[(\d+)\]\.(\w+)$/.exec(field) ?? [];
    if (list === undefined) return !((field === "id" || field === "authority") && draft[field] === "");
    const scope = draft.scopes[Number(index)];
    return !scope || scope[list as List] !== "";
  });
}
