import { useEffect, useRef, useState } from "react";
import type { Dropped, Record } from "./types";

/** Events that the page holds at the most while it follows. */
export const liveLimit = 2_000;

export interface Live {
  events: Record[]; // the newest first
  waiting: number; // came while paused
  dropped: number; // the server left out
  state: "connecting" | "on" | "refused";
}

/** Milliseconds until a stream that the server refused is asked for again. */
const again = 5_000;

const nothing: Live = { events: [], waiting: 0, dropped: 0, state: "connecting" };

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
    const close = follow(q, {
      state: (state) => setLive((l) => ({ ...l, state })),
      record: (record) => {
        pending.current.push(record);
        if (pending.current.length > 2 * liveLimit) pending.current = pending.current.slice(-liveLimit);
      },
      dropped: (dropped) => setLive((l) => ({ ...l, dropped })),
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
      close();
      clearInterval(timer);
      setLive(nothing);
    };
  }, [q, on]);
  return live;
}

interface Follower {
  state: (state: Live["state"]) => void;
  record: (record: Record) => void;
  dropped: (events: number) => void;
}

/** Opens the stream. The browser itself comes back after a broken line, but not after a refusal. Returns what ends it. */
function follow(q: string, to: Follower): () => void {
  let source: EventSource;
  let timer: ReturnType<typeof setTimeout>;
  const open = () => {
    source = new EventSource(`/api/v1/events/live${q === "" ? "" : "?" + new URLSearchParams({ q }).toString()}`);
    source.onopen = () => to.state("on");
    source.onerror = () => {
      const refused = source.readyState === EventSource.CLOSED;
      to.state(refused ? "refused" : "connecting");
      if (refused) timer = setTimeout(open, again);
    };
    source.addEventListener("record", (event: MessageEvent<string>) => to.record(JSON.parse(event.data) as Record));
    source.addEventListener("dropped", (event: MessageEvent<string>) =>
      to.dropped((JSON.parse(event.data) as Dropped).events),
    );
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
