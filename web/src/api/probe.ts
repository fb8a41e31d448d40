import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { answer, client } from "./client";
import type { FilterRules } from "./types";

/** How often what the probe sees is asked for anew, in milliseconds. */
const often = 3_000;

export function useProbe() {
  return useQuery({
    queryKey: ["probe"],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/probe", { signal })),
    refetchInterval: often,
  });
}

export function useCoverage() {
  return useQuery({
    queryKey: ["coverage"],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/probe/coverage", { signal })),
    refetchInterval: often,
  });
}

export function useProbeFilter() {
  return useQuery({
    queryKey: ["probe-filter"],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/probe/filter", { signal })),
    refetchInterval: 10 * often,
  });
}

export function useSetProbeFilter() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: FilterRules) => answer(client.PUT("/api/v1/probe/filter", { body })),
    onSuccess: async (state) => {
      queries.setQueryData(["probe-filter"], state);
      await queries.invalidateQueries({ queryKey: ["coverage"] });
    },
  });
}

/** What a filter would do to the processes of now; it changes nothing. */
export function useFilterPreview(rules: FilterRules) {
  return useQuery({
    queryKey: ["filter-preview", rules],
    queryFn: ({ signal }) => answer(client.POST("/api/v1/probe/filter/preview", { body: rules, signal })),
    retry: false,
    refetchOnWindowFocus: false,
  });
}

export function useResumeProbe() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => answer(client.POST("/api/v1/probe/resume")),
    onSuccess: (probe) => queries.setQueryData(["probe"], probe),
  });
}
