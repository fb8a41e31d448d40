import { useEffect, useRef, useState } from "react";
import type { Dropped, Record } from "./types";

/** Events that the page holds at the most while it follows. */
export const liveLimit = 2_000;

export interface Live {
  events: Record[]; // the newest first
  waiting: number; // came while paused
  dropped: number; // the server left out
  connected: boolean;
}

const nothing: Live = { events: [], waiting: 0, dropped: 0, connected: false };

/** Adds what has come, the newest first, and forgets the oldest beyond the limit. */
export function prepend(held: Record[], came: Record[]): Record[] {
  return [...came.toReversed(), ...held].slice(0, liveLimit);
}

/**
 * Follows new events that match. They are handed on in steps of a quarter second, so that a flood costs few renderings;
 * while paused they are kept aside, the newest liveLimit of them.
 */
export function useLive(q: string, on: boolean, paused: boolean): Live {
  const [live, setLive] = useState(nothing);
  const pending = useRef<Record[]>([]);
  const isPaused = useRef(paused);
  useEffect(() => {
    isPaused.current = paused;
  }, [paused]);

  useEffect(() => {
    if (!on) return;
    pending.current = [];
    const source = new EventSource(`/api/v1/events/live${q === "" ? "" : "?" + new URLSearchParams({ q }).toString()}`);
    source.onopen = () => setLive((l) => ({ ...l, connected: true }));
    source.onerror = () => setLive((l) => ({ ...l, connected: false }));
    source.addEventListener("record", (event: MessageEvent<string>) => {
      pending.current.push(JSON.parse(event.data) as Record);
      if (pending.current.length > 2 * liveLimit) pending.current = pending.current.slice(-liveLimit);
    });
    source.addEventListener("dropped", (event: MessageEvent<string>) => {
      const dropped = JSON.parse(event.data) as Dropped;
      setLive((l) => ({ ...l, dropped: dropped.events }));
    });
    const timer = setInterval(() => {
      const came = pending.current;
      if (isPaused.current) {
        setLive((l) => (l.waiting === came.length ? l : { ...l, waiting: came.length }));
      } else if (came.length > 0) {
        pending.current = [];
        setLive((l) => ({ ...l, events: prepend(l.events, came), waiting: 0 }));
      }
    }, 250);
    return () => {
      source.close();
      clearInterval(timer);
      setLive(nothing);
    };
  }, [q, on]);
  return live;
}
