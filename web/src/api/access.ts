import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { answer, client } from "./client";
import type { NewToken, NewUser } from "./types";

export function useUsers() {
  return useQuery({
    queryKey: ["users"],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/users", { signal })),
  });
}

export function useCreateUser() {
  return useChange("users", (body: NewUser) => answer(client.POST("/api/v1/users", { body })));
}

export function useDeleteUser() {
  return useChange("users", (name: string) =>
    answer(client.DELETE("/api/v1/users/{name}", { params: { path: { name } } })),
  );
}

export function useTokens() {
  return useQuery({
    queryKey: ["tokens"],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/tokens", { signal })),
  });
}

export function useCreateToken() {
  return useChange("tokens", (body: NewToken) => answer(client.POST("/api/v1/tokens", { body })));
}

export function useRevokeToken() {
  return useChange("tokens", (id: string) =>
    answer(client.DELETE("/api/v1/tokens/{id}", { params: { path: { id } } })),
  );
}

/** The newest entries of the audit trail, as many as the server gives at a time. */
export const auditLimit = 1000;

export function useAudit() {
  return useQuery({
    queryKey: ["audit"],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/audit", { params: { query: { limit: auditLimit } }, signal })),
    refetchInterval: 15_000,
  });
}

/** A change after which a list is read anew; an account that is deleted takes its tokens with it. */
function useChange<In, Out>(list: string, mutationFn: (input: In) => Promise<Out>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn,
    onSettled: async () => {
      const keys = new Set([list, "tokens", "audit"]);
      await queries.invalidateQueries({ predicate: ({ queryKey }) => keys.has(String(queryKey[0])) });
    },
  });
}
