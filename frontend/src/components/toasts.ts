/** What has just happened, told at the edge of the page for a moment. */

import type { Tone } from '../lib/words';

export interface ToastMessage {
  readonly id: number;
  readonly tone: Tone;
  readonly text: string;
}

type Listener = () => void;

const listeners = new Set<Listener>();
let messages: readonly ToastMessage[] = [];
let lastId = 0;

function set(next: readonly ToastMessage[]): void {
  messages = next;
  for (const listener of [...listeners]) listener();
}

/** At most this many at once: more would cover the page, and nobody reads the oldest. */
const MOST = 3;

export const toasts = {
  show(tone: Tone, text: string): void {
    lastId += 1;
    const others = messages.filter((message) => message.text !== text);
    set([...others, { id: lastId, tone, text }].slice(-MOST));
  },
  dismiss(id: number): void {
    set(messages.filter((message) => message.id !== id));
  },
  get: (): readonly ToastMessage[] => messages,
  subscribe: (listener: Listener): (() => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
};
