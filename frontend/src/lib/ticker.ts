/** One clock for all that counts on a page: however many rows count down, one timer runs, and none when nobody looks. */

import { useSyncExternalStore } from 'react';

const SECOND_MS = 1_000;

type Listener = () => void;

const listeners = new Set<Listener>();
let timer: ReturnType<typeof setTimeout> | undefined;

function tick(): void {
  schedule();
  for (const listener of [...listeners]) listener();
}

function schedule(): void {
  clearTimeout(timer);
  // On the full second, so that all of the page turns at once.
  timer = setTimeout(tick, SECOND_MS - (Date.now() % SECOND_MS));
}

/** A page that nobody sees counts nothing; when it is seen again it is right at once. */
function seen(): void {
  clearTimeout(timer);
  if (!document.hidden) tick();
}

function subscribe(listener: Listener): () => void {
  if (listeners.size === 0) {
    document.addEventListener('visibilitychange', seen);
    schedule();
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    document.removeEventListener('visibilitychange', seen);
    clearTimeout(timer);
  };
}

/** How many listen. For tests. */
export function tickerListeners(): number {
  return listeners.size;
}

/** The time in milliseconds since 1970, in whole steps: whoever shows minutes is not drawn again every second. */
export function useNow(stepMs: number = SECOND_MS): number {
  return useSyncExternalStore(subscribe, () => Math.floor(Date.now() / stepMs) * stepMs);
}
