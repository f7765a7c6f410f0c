/** A dry run, then the real one, as a dialog needs it. */

import { useCallback, useEffect, useRef, useState } from 'react';

import { toasts } from '../../components/toasts';
import { problemLine } from '../../lib/problemWords';
import { BEGIN, dealWithAll, type Ended, type Place, type Source, type Wish } from './bulk';
import { useReadAgain } from './queries';

export interface Progress extends Place {
  readonly phase: 'looking' | 'asking' | 'working' | 'done' | 'failed';
  /** How many there are, as far as the dry run knows. */
  readonly total: number;
  readonly totalIsAtLeast: boolean;
  /** How many the dry run looked at. */
  readonly looked: number;
  /** It looks at more of them still. */
  readonly looksOn?: boolean;
  readonly end?: Ended['end'] | undefined;
  readonly trouble?: string | undefined;
}

const NOTHING: Progress = { ...BEGIN, phase: 'looking', total: 0, totalIsAtLeast: false, looked: 0 };

/** The dry run looks at as many at a time as the API allows, */
const LOOK = 1_000;
/** and at so many before it says “more than”. */
export const LOOK_MOST = 20_000;

/** What the dry run says, page by page where the API does not count. */
async function lookAt(
  { ask, isWhole = false }: Source,
  signal: AbortSignal,
  show: (p: Progress) => void,
): Promise<void> {
  let now: Progress = { ...NOTHING, phase: 'asking' };
  for (;;) {
    const part = await ask({
      dry_run: true,
      ...(isWhole ? {} : { limit: LOOK }),
      ...(now.after === undefined ? {} : { after: now.after }),
    });
    if (signal.aborted) return;
    const looked = now.looked + part.handled;
    const outcomes = { ...now.outcomes };
    for (const [outcome, count] of Object.entries(part.outcomes)) {
      outcomes[outcome] = (outcomes[outcome] ?? 0) + count;
    }
    const isCounted = typeof part.total === 'number';
    const looksOn = !isCounted && !isWhole && part.more && looked < LOOK_MOST;
    now = {
      ...now,
      looked,
      outcomes,
      reached: now.reached + part.reached,
      total: part.total ?? looked,
      totalIsAtLeast: isCounted ? (part.total_is_at_least ?? false) : part.more && !isWhole,
      looksOn,
      after: part.next ?? undefined,
    };
    show(now);
    if (!looksOn || now.after === undefined) return;
  }
}

export function useBulk(source: Source, noun: string) {
  const [progress, show] = useState<Progress>(NOTHING);
  const running = useRef(new AbortController());
  const isGone = useRef(false);
  const wish = useRef<Wish>({ reason: '' });
  const readAgain = useReadAgain();
  // What was asked about stays, whatever the page behind the dialog shows by now.
  const [fixed] = useState(source);

  const begin = useCallback(() => {
    running.current.abort();
    running.current = new AbortController();
    return running.current.signal;
  }, []);

  const look = useCallback(async () => {
    const signal = begin();
    show(NOTHING);
    try {
      await lookAt(fixed, signal, show);
    } catch (error) {
      if (!signal.aborted) show({ ...NOTHING, phase: 'failed', trouble: problemLine(error) });
    }
  }, [begin, fixed]);

  useEffect(() => {
    isGone.current = false;
    void Promise.resolve().then(look);
    return () => {
      // Whoever leaves stops it: nothing goes on that nobody sees.
      isGone.current = true;
      running.current.abort();
    };
  }, [look]);

  const run = async (from: Place) => {
    const signal = begin();
    const still = {
      ...progress,
      phase: 'working' as const,
      looksOn: false,
      end: undefined,
      trouble: undefined,
    };
    show({ ...still, ...from });
    const ended = await dealWithAll(fixed, wish.current, from, signal, (place) => {
      show({ ...still, ...place });
    });
    show({ ...still, ...ended, phase: 'done' });
    if (isGone.current && ended.end !== 'all')
      toasts.show('info', `Stopped after ${ended.handled} ${noun}. What was done stays done.`);
    await readAgain();
  };

  return {
    progress,
    look,
    start: (how: Wish) => {
      wish.current = how;
      return run(BEGIN);
    },
    /** After it was stopped or broken off: from where it was. */
    goOn: () => run({ ...progress, waitsFor: undefined }),
    stop: () => {
      running.current.abort();
    },
  };
}
