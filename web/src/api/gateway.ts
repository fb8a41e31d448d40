import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { answer, APIError, client } from "./client";
import type { Exception, NewAuthority, Policy, PolicyCheck } from "./types";

const root = "/api/v1/gateway";

/** How often what changes by itself is asked for anew, in milliseconds. */
const often = 5_000;

/** What the gateway is doing, and why it is off if it is. */
export function useGateway() {
  return useQuery({
    queryKey: ["gateway"],
    queryFn: ({ signal }) => answer(client.GET(root, { signal })),
    refetchInterval: often,
  });
}

/** All policies, in the order in which they are asked. */
export function usePolicies() {
  return useQuery({
    queryKey: ["gateway", "policies"],
    queryFn: ({ signal }) => answer(client.GET(`${root}/policies`, { signal })),
    refetchInterval: 3 * often,
  });
}

export type Problem = PolicyCheck["problems"][number];

/** What is wrong with a policy; it changes nothing. What the server can't even read is a problem like others. */
export function policyCheck(policy: Policy) {
  return queryOptions({
    queryKey: ["gateway", "check", policy],
    queryFn: async ({ signal }): Promise<Problem[]> => {
      try {
        return (await answer(client.POST(`${root}/policy-check`, { body: policy, signal }))).problems;
      } catch (error) {
        if (!(error instanceof APIError && error.status === 422)) throw error;
        return [...error.mistakes].map(([at, message]) => ({ field: at.replace(/^body\./, ""), message }));
      }
    },
    retry: false,
  });
}

export function useCreatePolicy() {
  return useChange((body: Policy) => answer(client.POST(`${root}/policies`, { body })));
}

export function useReplacePolicy() {
  return useChange((body: Policy) =>
    answer(client.PUT(`${root}/policies/{id}`, { params: { path: { id: body.id } }, body })),
  );
}

export function useDeletePolicy() {
  return useChange((id: string) => answer(client.DELETE(`${root}/policies/{id}`, { params: { path: { id } } })));
}

export function useSwitchPolicy() {
  return useChange(({ id, on }: { id: string; on: boolean }) => {
    const params = { path: { id } };
    return on
      ? answer(client.POST(`${root}/policies/{id}/enable`, { params }))
      : answer(client.POST(`${root}/policies/{id}/disable`, { params }));
  });
}

export function useOrderPolicies() {
  return useChange((ids: string[]) => answer(client.PUT(`${root}/policy-order`, { body: { ids } })));
}

export function useExceptions() {
  return useQuery({
    queryKey: ["gateway", "exceptions"],
    queryFn: ({ signal }) => answer(client.GET(`${root}/exceptions`, { signal })),
  });
}

export function useCreateException() {
  return useChange((body: Exception) => answer(client.POST(`${root}/exceptions`, { body })));
}

export function useReplaceException() {
  return useChange((body: Exception) =>
    answer(client.PUT(`${root}/exceptions/{id}`, { params: { path: { id: body.id } }, body })),
  );
}

export function useDeleteException() {
  return useChange((id: string) => answer(client.DELETE(`${root}/exceptions/{id}`, { params: { path: { id } } })));
}

/** Groups of names that came with this version, such as banks. */
export function useCategories() {
  return useQuery({
    queryKey: ["gateway", "categories"],
    queryFn: ({ signal }) => answer(client.GET(`${root}/categories`, { signal })),
    staleTime: Infinity,
  });
}

/** The rules about requests, as people wrote them. */
export function useRequestRules() {
  return useQuery({
    queryKey: ["gateway", "rules"],
    queryFn: ({ signal }) => answer(client.GET(`${root}/rules`, { signal })),
  });
}

export function useChangeRequestRules() {
  return useChange((text: string) => answer(client.PUT(`${root}/rules`, { body: { text } })));
}

/** The services on the web that rules may name; they came with this version. */
export function useApplications() {
  return useQuery({
    queryKey: ["gateway", "applications"],
    queryFn: ({ signal }) => answer(client.GET(`${root}/applications`, { signal })),
    staleTime: Infinity,
  });
}

export function usePins() {
  return useQuery({
    queryKey: ["gateway", "pins"],
    queryFn: ({ signal }) => answer(client.GET(`${root}/pins`, { signal })),
    refetchInterval: 3 * often,
  });
}

export type Judgement = "approve" | "reject" | "forget";

export function useJudgePin() {
  return useChange(({ id, as }: { id: string; as: Judgement }) => {
    const params = { path: { id } };
    if (as === "forget") return answer(client.DELETE(`${root}/pins/{id}`, { params }));
    return answer(client.POST(as === "approve" ? `${root}/pins/{id}/approve` : `${root}/pins/{id}/reject`, { params }));
  });
}

/** Clients whose programs do not accept the gateway's root. */
export function useDistrust() {
  return useQuery({
    queryKey: ["gateway", "distrust"],
    queryFn: ({ signal }) => answer(client.GET(`${root}/distrust`, { signal })),
    refetchInterval: 3 * often,
  });
}

export function useAuthorities() {
  return useQuery({
    queryKey: ["gateway", "authorities"],
    queryFn: ({ signal }) => answer(client.GET(`${root}/authorities`, { signal })),
  });
}

export function useImportAuthority() {
  return useChange((body: NewAuthority) => answer(client.POST(`${root}/authorities`, { body })));
}

export function useMakeTrial() {
  return useChange((name: string) => answer(client.POST(`${root}/authorities/trial`, { body: { name } })));
}

export function useDeleteAuthority() {
  return useChange((name: string) =>
    answer(client.DELETE(`${root}/authorities/{name}`, { params: { path: { name } } })),
  );
}

/** The forms in which a certificate can be downloaded. */
export const formats = ["crt", "chain", "p7b", "jks"] as const;

export type Format = (typeof formats)[number];

export function certificateAddress(name: string, format: Format): string {
  return `${root}/authorities/${encodeURIComponent(name)}/certificate?format=${format}`;
}

export function useChanges() {
  return useQuery({
    queryKey: ["gateway", "changes"],
    queryFn: ({ signal }) => answer(client.GET(`${root}/changes`, { signal })),
    refetchInterval: 3 * often,
  });
}

/** A change after which everything of the gateway is read anew: its parts refer to each other. */
function useChange<In, Out>(mutationFn: (input: In) => Promise<Out>) {
  const queries = useQueryClient();
  return useMutation({ mutationFn, onSettled: () => queries.invalidateQueries({ queryKey: ["gateway"] }) });
}
