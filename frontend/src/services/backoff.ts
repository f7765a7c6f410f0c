/** When to try again. */

/** No wait that a server asks for is longer: a wrong header must not lock anybody out for a day. */
const LONGEST_ASKED_MS = 15 * 60_000;

/** The wait that an answer asks for, in milliseconds: `Retry-After` in seconds or as a date. */
export function askedWait(retryAfter: string | null | undefined, now: number): number | undefined {
  const text = retryAfter?.trim();
  if (!text) return undefined;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, 0), LONGEST_ASKED_MS);
}

/** The wait before the next try after so many failures: it doubles up to a longest one, and its second half is chance. */
export function backoff(failures: number, first: number, longest: number, chance: number): number {
  const full = Math.min(first * 2 ** Math.max(failures - 1, 0), longest);
  return full / 2 + (full / 2) * chance;
}

/** Ends after this time, or at once with the signal. It never fails. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}
