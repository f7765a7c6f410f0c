/** Deals with many, page by page, until there are no more, enough are done, or somebody stops it. */

import { problemLine } from '../../lib/problemWords';
import { ApiProblem, type ProblemKind, SessionUnavailable } from '../../services/api';

/** What the API says of one page, of a dry run as of a real one. */
export interface Part {
  readonly handled: number;
  /** Of how many the wish is fulfilled, or would be. */
  readonly reached: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly more: boolean;
  readonly next?: string | null | undefined;
  readonly wait_ms: number;
  readonly stopped_by?: string | null | undefined;
  /** How many there are in all, where a dry run says so. */
  readonly total?: number | null | undefined;
  readonly total_is_at_least?: boolean;
}

/** What is asked of the API for one page. */
export interface Order {
  readonly dry_run?: true;
  readonly limit?: number;
  readonly rate?: number;
  readonly after?: string;
  readonly reason?: string;
}

export interface Source {
  readonly ask: (order: Order) => Promise<Part>;
  /** Everything is dealt with by one request, as what was chosen by hand. */
  readonly isWhole?: boolean;
}

/** How it is to be done. */
export interface Wish {
  readonly reason: string;
  /** At most so many, all pages together. */
  readonly limit?: number;
  /** At most so many in a second. */
  readonly rate?: number;
}

/** How far it is. */
export interface Place {
  readonly handled: number;
  readonly reached: number;
  readonly outcomes: Readonly<Record<string, number>>;
  /** Where the next page begins. */
  readonly after?: string | undefined;
  /** What it waits for before it goes on. */
  readonly waitsFor?: string | undefined;
}

export interface Ended extends Place {
  readonly end: 'all' | 'stopped' | 'trouble';
  /** Why it ended before its end. */
  readonly trouble?: string;
}

export const BEGIN: Place = { handled: 0, reached: 0, outcomes: {} };

/** Small pages, so that progress shows and stopping takes effect soon. */
const PAGE = 200;
/** Between a page that was broken off and the next try. */
const CROWDED_MS = 5_000;
/** It waits for so long with nothing done before it gives up. */
const PATIENCE_MS = 120_000;

/** What a page adds to what was done before. */
export function added(before: Place, part: Part): Place {
  const outcomes = { ...before.outcomes };
  for (const [outcome, count] of Object.entries(part.outcomes)) {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + count;
  }
  return {
    handled: before.handled + part.handled,
    reached: before.reached + part.reached,
    outcomes,
    after: part.next ?? before.after,
  };
}

const PASSING: readonly ProblemKind[] = ['unavailable', 'overloaded', 'rate-limited', 'timeout'];

/** How long to wait before the same is asked again; `undefined`: it would be refused again. */
function waitAfter(error: unknown): number | undefined {
  if (error instanceof SessionUnavailable) return CROWDED_MS;
  if (!(error instanceof ApiProblem) || !PASSING.includes(error.kind)) return undefined;
  return error.retryAfter === undefined ? CROWDED_MS : error.retryAfter * 1000;
}

/** Waits, or less if somebody stops it. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}

/**
 * Goes on from a place to the end. Where the workers have enough to do, or the store is away for a moment, it waits: what
 * was done stays done, and each page looks at what there is now.
 */
export async function dealWithAll(
  { ask, isWhole = false }: Source,
  { reason, limit, rate }: Wish,
  from: Place,
  signal: AbortSignal,
  onStep: (place: Place) => void,
): Promise<Ended> {
  let now: Place = { ...from, waitsFor: undefined };
  let waited = 0;
  for (;;) {
    if (signal.aborted) return { ...now, end: 'stopped' };
    const size = limit === undefined ? PAGE : Math.min(PAGE, limit - now.handled);
    if (size <= 0) return { ...now, end: 'all' };
    let trouble: string | undefined;
    let wait = 0;
    try {
      const part = await ask({
        reason,
        ...(isWhole ? {} : { limit: size, ...(rate === undefined ? {} : { rate }) }),
        ...(now.after === undefined ? {} : { after: now.after }),
      });
      now = added(now, part);
      onStep(now);
      if (part.handled > 0) waited = 0;
      trouble = part.stopped_by ?? undefined;
      if (trouble === undefined && (isWhole || !part.more)) return { ...now, end: 'all' };
      if (trouble !== undefined && isWhole) return { ...now, end: 'trouble', trouble };
      wait = trouble === undefined ? part.wait_ms : CROWDED_MS;
    } catch (error) {
      const again = waitAfter(error);
      // Operators read what the API says itself: how many wait, or what is away.
      trouble = error instanceof ApiProblem ? error.detail : problemLine(error);
      if (again === undefined) return { ...now, end: 'trouble', trouble };
      wait = again;
    }
    if (trouble !== undefined) {
      if (waited + wait > PATIENCE_MS) return { ...now, end: 'trouble', trouble };
      waited += wait;
      onStep({ ...now, waitsFor: trouble });
    }
    if (wait > 0) await pause(wait, signal);
  }
}
