import { createContext, useContext, type MouseEvent } from "react";
import type { Cell } from "../../format/record";

/** Opens the menu of an observed value at the place of a click. */
export type OpenValueMenu = (cell: Cell, event: MouseEvent<HTMLElement>) => void;

export const ValueMenuContext = createContext<OpenValueMenu>(() => undefined);

export function useValueMenu(): OpenValueMenu {
  return useContext(ValueMenuContext);
}
