import { useCallback, useSyncExternalStore } from "react";
import type { Zone } from "../format/time";
import { browserLanguage, type Language } from "../i18n";

/** What the browser remembers of a person's choices. Nothing observed is kept but the searches that were typed. */
interface Preferences {
  language: Language;
  theme: "light" | "dark" | "system";
  zone: Zone;
  columns: string[];
  history: string[];
}

const defaults: { [K in keyof Preferences]: () => Preferences[K] } = {
  language: browserLanguage,
  theme: () => "system",
  zone: () => "local",
  columns: () => ["time", "kind", "decrypted", "client", "server", "name", "summary", "status", "size", "process"],
  history: () => [],
};

const cache = new Map<string, unknown>();
const listeners = new Set<() => void>();

/** The stored value if it is of the default's form, else the default. */
export function preference<K extends keyof Preferences>(key: K): Preferences[K] {
  if (!cache.has(key)) {
    const fallback = defaults[key]();
    const stored = read(key);
    const fits = Array.isArray(fallback)
      ? Array.isArray(stored) && stored.every((s) => typeof s === "string")
      : typeof stored === typeof fallback;
    cache.set(key, fits ? stored : fallback);
  }
  return cache.get(key) as Preferences[K];
}

function read(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(`vitrine.${key}`) ?? "null");
  } catch {
    return null;
  }
}

export function setPreference<K extends keyof Preferences>(key: K, value: Preferences[K]): void {
  cache.set(key, value);
  try {
    localStorage.setItem(`vitrine.${key}`, JSON.stringify(value));
  } catch {
    // Storage is full or forbidden: the choice lasts until the page is closed.
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePreference<K extends keyof Preferences>(key: K): [Preferences[K], (value: Preferences[K]) => void] {
  const value = useSyncExternalStore(subscribe, () => preference(key));
  const set = useCallback((next: Preferences[K]) => setPreference(key, next), [key]);
  return [value, set];
}
