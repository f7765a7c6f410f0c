import { useMemo } from 'react';

import api from '../../services/api';
import type { Order, Part, Source } from './bulk';
import { BulkDialog, type BulkWords } from './BulkDialog';
import type { RefreshFilter } from './filters';
import type { RefreshedMany } from './shapes';
import { number, refreshOutcomeWords } from './words';

const WORDS: BulkWords = {
  title: 'Refresh connections',
  verb: 'Refresh',
  doing: 'Refreshing',
  done: 'Refreshes asked for',
  noun: 'connection',
  reached: 'asked for',
  nothing: 'No connection matches. There is nothing to do.',
  forecast: (reached, left) =>
    `${number(reached)} would be refreshed${left > 0 ? ` and ${number(left)} left alone` : ''}.`,
  note: 'Also those whose tokens are still good. Nobody waits for these, so refreshes that somebody waits for go first.',
  outcome: refreshOutcomeWords,
};

/** Connections as the API refreshes many of them. */
export function refreshSource(filter: RefreshFilter): Source {
  return {
    ask: async (order: Order): Promise<Part> => {
      const { asked, ...part } = (
        await api.post<RefreshedMany>('/ops/connections/refresh', { filter, ...order })
      ).data;
      return { ...part, reached: asked };
    },
  };
}

/** Refreshes every connection that a filter names. */
export function RefreshDialog({ filter, onClose }: { filter: RefreshFilter; onClose: () => void }) {
  const source = useMemo(() => refreshSource(filter), [filter]);
  return <BulkDialog words={WORDS} source={source} onClose={onClose} />;
}
