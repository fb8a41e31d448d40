import { createContext, useContext } from "react";

/** What the signed-in account may do, as the server says. The server enforces it; the console only leaves out what it would refuse. */
export const PermissionsContext = createContext<string[]>([]);

export function useMay(): (...permissions: string[]) => boolean {
  const granted = useContext(PermissionsContext);
  return (...permissions) => permissions.every((p) => granted.includes(p));
}
