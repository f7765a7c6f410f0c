/** Time that passes when a test says so. */

import { afterEach, beforeEach, vi } from 'vitest';

/** Gives each test of a file its own time. */
export function ownTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'Date'],
      now: new Date('2026-11-23T12:00:00Z'),
    });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}

/** Lets so much time pass, with everything that it leads to. In milliseconds. */
export async function pass(ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 5) {
    await vi.advanceTimersByTimeAsync(5);
    // Streams of bodies end in the real event loop.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What became of it, however it ended, once it ended. It has to within this time, in milliseconds. */
export async function outcome<T>(promise: Promise<T>, within = 60_000): Promise<PromiseSettledResult<T>> {
  let result: PromiseSettledResult<T> | undefined;
  void Promise.allSettled([promise]).then(([settled]) => {
    result = settled;
  });
  for (let gone = 0; gone < within && result === undefined; gone += 50) await pass(50);
  if (result === undefined) throw new Error(`Nothing came of it within ${within} ms: it hangs.`);
  return result;
}

/** What it resolved to. */
export async function value<T>(promise: Promise<T>, within?: number): Promise<T> {
  const settled = await outcome(promise, within);
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

/** What it failed with. */
export async function failure(promise: Promise<unknown>, within?: number): Promise<unknown> {
  const settled = await outcome(promise, within);
  if (settled.status === 'fulfilled') throw new Error('It was expected to fail.');
  return settled.reason;
}
