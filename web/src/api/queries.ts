import { keepPreviousData, useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { fit } from "../format/fit";
import { allTime, type Range } from "../format/range";
import { answer, client } from "./client";

/** Empty parameters are left out of the address. */
const period = ({ since, until }: Range) => ({ since, ...(until !== "" && { until }) });
const searched = (q: string) => (q === "" ? {} : { q });

const pageSize = 200;
const sessionKey = ["session"];

export function useSession() {
  return useQuery({
    queryKey: sessionKey,
    queryFn: ({ signal }) => answer(client.GET("/api/v1/session", { signal })),
    staleTime: Infinity,
    retry: false,
  });
}

export function useSignIn() {
  const queries = useQueryClient();
  return useMutation({
    mutationKey: sessionKey,
    mutationFn: (body: { username: string; password: string }) => answer(client.POST("/api/v1/session", { body })),
    onSuccess: (session) => queries.setQueryData(sessionKey, session),
  });
}

export function useSignOut() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => answer(client.DELETE("/api/v1/session")),
    // What was on the screen is not for the next person; asking anew who is signed in brings the sign-in page.
    onSuccess: () => queries.resetQueries(),
  });
}

export function useChangePassword() {
  return useMutation({
    mutationFn: (body: { old: string; new: string }) => answer(client.PUT("/api/v1/account/password", { body })),
  });
}

export function useOverview(range: Range) {
  return useQuery({
    queryKey: ["overview", range],
    queryFn: async ({ signal }) => {
      const read = (r: Range) => answer(client.GET("/api/v1/overview", { params: { query: period(r) }, signal }));
      if (range.since !== allTime) return read(range);
      return fit(
        read,
        range,
        (o) => ({ series: o.trend.points, interval: o.trend.interval_s }),
        (p) => p.connections > 0 || p.plaintext_bytes > 0,
      );
    },
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });
}

export function useEvents(q: string, range: Range, enabled = true) {
  return useInfiniteQuery({
    queryKey: ["events", q, range],
    queryFn: ({ pageParam, signal }) =>
      answer(
        client.GET("/api/v1/events", {
          params: {
            query: {
              ...searched(q),
              ...period(range),
              limit: pageSize,
              ...(pageParam !== "" && { cursor: pageParam }),
            },
          },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor,
    placeholderData: keepPreviousData,
    retry: false,
    refetchOnWindowFocus: false,
    enabled,
  });
}

export function useHistogram(q: string, range: Range) {
  return useQuery({
    queryKey: ["histogram", q, range],
    queryFn: async ({ signal }) => {
      const read = (r: Range) =>
        answer(
          client.GET("/api/v1/events/histogram", {
            params: { query: { ...searched(q), ...period(r), buckets: 120 } },
            signal,
          }),
        );
      if (range.since !== allTime) return read(range);
      return fit(
        read,
        range,
        (h) => ({ series: h.buckets, interval: h.interval_s }),
        (b) => b.count > 0,
      );
    },
    placeholderData: keepPreviousData,
    retry: false,
    refetchOnWindowFocus: false,
  });
}

export function useEvent(id: string) {
  return useQuery({
    queryKey: ["event", id],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/events/{id}", { params: { path: { id } }, signal })),
    staleTime: Infinity,
  });
}

export function useFields() {
  return useQuery({
    queryKey: ["fields"],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/fields", { signal })),
    staleTime: Infinity,
  });
}

export function complete(q: string, pos: number, signal: AbortSignal) {
  return answer(client.GET("/api/v1/complete", { params: { query: { q, pos } }, signal }));
}

export function useImports() {
  return useQuery({
    queryKey: ["imports"],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/imports", { signal })),
    refetchInterval: (query) =>
      query.state.data?.imports.some((i) => i.state === "running" || i.state === "queued") ? 700 : 5_000,
  });
}

export function useCancelImport() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => answer(client.DELETE("/api/v1/imports/{id}", { params: { path: { id } } })),
    onSettled: () => queries.invalidateQueries({ queryKey: ["imports"] }),
  });
}

export function useSystem() {
  return useQuery({
    queryKey: ["system"],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/system", { signal })),
    refetchInterval: 5_000,
  });
}
