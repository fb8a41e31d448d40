import { useCreatePolicy, useReplacePolicy } from "../../../api/gateway";
import type { Policy } from "../../../api/types";

/** Stores a policy, new or not, in force or not. */
export function useSave(stored: Policy | undefined) {
  const create = useCreatePolicy();
  const replace = useReplacePolicy();
  const run = (policy: Policy, enabled: boolean) =>
    (stored ? replace : create).mutateAsync({ ...policy, disabled: !enabled });
  return { run, pending: create.isPending || replace.isPending };
}
