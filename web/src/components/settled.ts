import { useEffect, useState } from "react";

/** How long a value has to stay the same, in milliseconds. */
const pause = 350;

/** What can be written as JSON, once it has stayed the same for a while. */
export function useSettled<T>(value: T): T {
  const now = JSON.stringify(value);
  const [settled, setSettled] = useState(now);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(now), pause);
    return () => clearTimeout(timer);
  }, [now]);
  return JSON.parse(settled) as T;
}
