import { useMemo } from 'react';

import api from '../../services/api';
import type { Order, Part, Source } from './bulk';
import { BulkDialog, type BulkWords } from './BulkDialog';
import type { JobFilter } from './filters';
import type { Deed } from './queries';
import type { DealtMany } from './shapes';
import { number, outcomeWords } from './words';

/** Which failed jobs. */
export type Which = { readonly filter: JobFilter } | { readonly ids: readonly string[] };

const also = (count: number, what: string) => (count > 0 ? ` and ${number(count)} would ${what}` : '');

const WORDS: Record<Deed, BulkWords> = {
  replay: {
    title: 'Replay failed jobs',
    verb: 'Replay',
    doing: 'Replaying',
    done: 'Replayed',
    noun: 'job',
    reached: 'closed',
    nothing: 'No open failed job matches. There is nothing to do.',
    forecast: (reached, left) => `${number(reached)} would be closed by a replay${also(left, 'stay open')}.`,
    note: 'No spent token is used: each connection is looked at first, and only what still needs it is refreshed.',
    outcome: outcomeWords,
  },
  discard: {
    title: 'Discard failed jobs',
    verb: 'Discard',
    doing: 'Discarding',
    done: 'Discarded',
    noun: 'job',
    reached: 'closed',
    nothing: 'No open failed job matches. There is nothing to do.',
    forecast: (reached, left) =>
      `${number(reached)} would be discarded for good${also(left, 'stay as they are')}.`,
    outcome: outcomeWords,
    isDangerous: true,
  },
};

/** Failed jobs as the API deals with many of them. */
export function jobsSource(deed: Deed, which: Which): Source {
  return {
    isWhole: 'ids' in which,
    ask: async (order: Order): Promise<Part> => {
      const body = { ...which, ...order };
      const { closed, ...part } = (await api.post<DealtMany>(`/ops/failed-jobs/${deed}`, body)).data;
      return { ...part, reached: closed };
    },
  };
}

interface ManyDialogProps {
  deed: Deed;
  which: Which;
  onClose: () => void;
  onDone: () => void;
}

/** Replays or discards many failed jobs. */
export function ManyDialog({ deed, which, onClose, onDone }: ManyDialogProps) {
  const source = useMemo(() => jobsSource(deed, which), [deed, which]);
  return <BulkDialog words={WORDS[deed]} source={source} onClose={onClose} onDone={onDone} />;
}
