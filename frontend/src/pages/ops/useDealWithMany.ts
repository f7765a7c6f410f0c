/** Replays or discards many failed jobs, page by page, until there are no more or somebody stops it. */

import { useCallback, useEffect, useRef, useState } from 'react';

import { toasts } from '../../components/toasts';
import { problemLine } from '../../lib/problemWords';
import api from '../../services/api';
import type { JobFilter } from './filters';
import { type Deed, useReadAgain } from './queries';
import type { DealtMany } from './shapes';

/** Which failed jobs. */
export type Which = { readonly filter: JobFilter } | { readonly ids: readonly string[] };

export interface Progress {
  readonly phase: 'looking' | 'asking' | 'working' | 'done' | 'failed';
  /** How many there are, as the dry run told. */
  readonly total: number;
  readonly totalIsAtLeast: boolean;
  /** How many the dry run looked at: it looks at one page only. */
  readonly looked: number;
  readonly handled: number;
  readonly closed: number;
  readonly outcomes: Readonly<Record<string, number>>;
  /** Why it ended before its end. */
  readonly trouble?: string;
  readonly isStopped?: boolean;
}

const NOTHING: Progress = {
  phase: 'looking',
  total: 0,
  totalIsAtLeast: false,
  looked: 0,
  handled: 0,
  closed: 0,
  outcomes: {},
};

/** Small pages, so that progress shows and stopping takes effect soon. */
const PAGE = 200;
/** The dry run looks at as many as the API allows. */
const LOOK = 1000;

/** What a page adds to what was done before. */
export function added(before: Progress, page: DealtMany): Progress {
  const outcomes = { ...before.outcomes };
  for (const [outcome, count] of Object.entries(page.outcomes)) {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + count;
  }
  return {
    ...before,
    handled: before.handled + page.handled,
    closed: before.closed + page.closed,
    outcomes,
  };
}

async function ask(deed: Deed, body: object): Promise<DealtMany> {
  return (await api.post<DealtMany>(`/ops/failed-jobs/${deed}`, body)).data;
}

export function useDealWithMany(deed: Deed, which: Which) {
  const [progress, show] = useState<Progress>(NOTHING);
  const stopping = useRef(false);
  const isStopping = useCallback(() => stopping.current, []);
  const isGone = useRef(false);
  const readAgain = useReadAgain();
  const [wish] = useState(which);

  const look = useCallback(async () => {
    show(NOTHING);
    try {
      const page = await ask(deed, { ...wish, dry_run: true, ...('filter' in wish ? { limit: LOOK } : {}) });
      show({
        ...NOTHING,
        phase: 'asking',
        total: page.total ?? page.handled,
        totalIsAtLeast: page.total_is_at_least,
        looked: page.handled,
        closed: page.closed,
        outcomes: page.outcomes,
      });
    } catch (error) {
      show({ ...NOTHING, phase: 'failed', trouble: problemLine(error) });
    }
  }, [deed, wish]);

  useEffect(() => {
    isGone.current = false;
    void Promise.resolve().then(look);
    return () => {
      // Whoever leaves stops it: nothing goes on that nobody sees.
      stopping.current = true;
      isGone.current = true;
    };
  }, [look]);

  const start = async (reason: string) => {
    stopping.current = false;
    let now: Progress = { ...progress, phase: 'working', handled: 0, closed: 0, outcomes: {} };
    show(now);
    let after: string | null = null;
    try {
      for (;;) {
        const place: object = 'filter' in wish ? { limit: PAGE, ...(after === null ? {} : { after }) } : {};
        const page: DealtMany = await ask(deed, { ...wish, reason, ...place });
        now = added(now, page);
        show(now);
        if (page.stopped_by) {
          now = { ...now, trouble: page.stopped_by };
          break;
        }
        if (!page.more || 'ids' in wish) break;
        if (isStopping()) {
          now = { ...now, isStopped: true };
          break;
        }
        after = page.next ?? null;
      }
      show({ ...now, phase: 'done' });
    } catch (error) {
      show({ ...now, phase: 'done', trouble: problemLine(error) });
    }
    if (isGone.current) toasts.show('info', `Stopped. ${now.closed} of ${now.handled} jobs were closed.`);
    await readAgain();
  };

  return {
    progress,
    start,
    look,
    stop: () => {
      stopping.current = true;
    },
  };
}
