/** One tab at a time, and every other one takes what that tab says came of it. */

import { pause } from './backoff.js';
import type { Platform } from './platform.js';

const LOCK = 'evergrant-session';

/** Longer than any request of a holder takes. Whoever has waited that long waits for a tab that hangs, and goes on. */
const PATIENCE_MS = 25_000;

/**
 * A holder keeps the lock for this much longer than its work, and whoever got it after waiting listens for this long
 * before it works: a message and the lock come by different roads, and the lock may be faster. Nobody waits for it
 * otherwise, for whoever hears the message does not need the lock any more.
 */
const MESSAGE_MS = 150;

/**
 * Does the work, in no two tabs at a time. Whoever had to wait and hears what came of it elsewhere takes that instead.
 * A tab that dies lets go of its lock, and the next goes on.
 *
 * `heard` settles when another tab has told what came of its work, from before this was called.
 */
export function inOneTab<T>(locks: Platform['locks'], work: () => Promise<T>, heard: Promise<T>): Promise<T> {
  if (!locks) return work();
  return new Promise<T>((resolve, reject) => {
    const enough = new AbortController();
    let isSettled = false;
    const settle = (result: Promise<T>) => {
      isSettled = true;
      enough.abort();
      result.then(resolve, reject);
    };
    const run = async () => {
      // The work first: what others tell meanwhile is about an older token.
      const result = work();
      settle(result);
      await result.catch(() => undefined);
    };
    const first = async (lock: Lock | null) => {
      if (!lock) return false;
      await run();
      await pause(MESSAGE_MS);
      return true;
    };
    const later = async () => {
      await pause(MESSAGE_MS, enough.signal);
      if (isSettled) return;
      await run();
      await pause(MESSAGE_MS);
    };
    const acquire = async () => {
      if (await locks.request(LOCK, { ifAvailable: true }, first)) return;
      void heard.then((told) => {
        if (!isSettled) settle(Promise.resolve(told));
      });
      const patience = setTimeout(() => {
        enough.abort();
      }, PATIENCE_MS);
      try {
        await locks.request(LOCK, { signal: enough.signal }, later);
      } finally {
        clearTimeout(patience);
      }
    };
    // No lock to be had, by the browser's rules or for a tab that hangs: the server bears two at once.
    acquire().catch(() => {
      if (!isSettled) void run();
    });
  });
}
