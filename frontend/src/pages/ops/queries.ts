/** What operators ask for and what they do. */

import { keepPreviousData, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';

import { CONNECTIONS } from '../../app/connections';
import { toasts } from '../../components/toasts';
import { problemLine } from '../../lib/problemWords';
import api from '../../services/api';
import { connectionParams, type ConnectionSearch, jobParams, type JobSearch } from './filters';
import { type Span, SPANS } from './series';
import type {
  Activity,
  ConnectionPage,
  ConnectionStory,
  Dealt,
  EncryptionKeys,
  FailedJobPage,
  FailedJobStory,
  Overview,
  Processes,
} from './shapes';

export const OPS = ['ops'] as const;
const JOBS = [...OPS, 'failed-jobs'] as const;
/** Pages of operators stay on a screen on the wall: what they show is at most this old. */
export const EVERY_MS = 15_000;
export const PAGE_SIZE = 50;

export const overviewQuery = queryOptions({
  queryKey: [...OPS, 'overview'],
  queryFn: async ({ signal }) => (await api.get<Overview>('/ops/overview', { signal })).data,
  refetchInterval: EVERY_MS,
});

/** On a full step, so that bars grow and do not change their places from minute to minute. */
function begin(span: Span, now: number): number {
  const { minutes, step } = SPANS[span];
  const stepMs = step * 60_000;
  return Math.floor(now / stepMs) * stepMs + stepMs - minutes * 60_000;
}

export function activityQuery(span: Span) {
  return queryOptions({
    queryKey: [...OPS, 'activity', span],
    queryFn: async ({ signal }) => {
      const since = new Date(begin(span, Date.now())).toISOString();
      return (await api.get<Activity>('/ops/activity', { params: { since }, signal })).data;
    },
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
  });
}

export const processesQuery = queryOptions({
  queryKey: [...OPS, 'processes'],
  queryFn: async ({ signal }) => (await api.get<Processes>('/ops/processes', { signal })).data.items,
  refetchInterval: EVERY_MS,
});

export const keysQuery = queryOptions({
  queryKey: [...OPS, 'keys'],
  queryFn: async ({ signal }) => (await api.get<EncryptionKeys>('/ops/keys', { signal })).data,
  refetchInterval: EVERY_MS,
});

export function allConnectionsQuery(search: ConnectionSearch) {
  const params = connectionParams(search);
  return queryOptions({
    queryKey: [...OPS, 'connections', params],
    queryFn: async ({ signal }) =>
      (await api.get<ConnectionPage>('/connections', { params: { ...params, limit: PAGE_SIZE }, signal }))
        .data,
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
  });
}

export function storyQuery(id: string) {
  return queryOptions({
    queryKey: [...OPS, 'story', id],
    queryFn: async ({ signal }) =>
      (await api.get<ConnectionStory>(`/ops/connections/${encodeURIComponent(id)}`, { signal })).data,
    refetchInterval: EVERY_MS,
  });
}

export function failedJobsQuery(search: JobSearch) {
  const params = jobParams(search);
  return queryOptions({
    queryKey: [...JOBS, 'list', params],
    queryFn: async ({ signal }) =>
      (await api.get<FailedJobPage>('/ops/failed-jobs', { params: { ...params, limit: PAGE_SIZE }, signal }))
        .data,
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
  });
}

export function failedJobQuery(id: string) {
  return queryOptions({
    queryKey: [...JOBS, 'one', id],
    queryFn: async ({ signal }) =>
      (await api.get<FailedJobStory>(`/ops/failed-jobs/${encodeURIComponent(id)}`, { signal })).data,
    refetchInterval: EVERY_MS,
  });
}

/** Reads everything again that something done by an operator may have changed. */
export function useReadAgain(): () => Promise<void> {
  const queries = useQueryClient();
  return async () => {
    await Promise.all([
      queries.invalidateQueries({ queryKey: OPS }),
      queries.invalidateQueries({ queryKey: CONNECTIONS }),
    ]);
  };
}

export type Deed = 'replay' | 'discard';

interface One {
  id: string;
  deed: Deed;
  reason: string;
  /** Another job to do instead, as text. */
  payload?: string;
}

/** Replays or discards one failed job and says what came of it. */
export function useDealWithOne() {
  const readAgain = useReadAgain();
  return useMutation({
    mutationFn: async ({ id, deed, ...wish }: One) =>
      (await api.post<Dealt>(`/ops/failed-jobs/${encodeURIComponent(id)}/${deed}`, wish)).data,
    onSuccess: ({ is_closed, outcome, detail }, { deed }) => {
      if (!is_closed) toasts.show('warn', `Left as it was. ${detail}`);
      else if (deed === 'discard') toasts.show('good', 'Discarded');
      else toasts.show('good', outcome === 'published' ? 'Replayed' : `Replayed. ${detail}`);
    },
    onError: (error) => {
      toasts.show('bad', problemLine(error));
    },
    onSettled: readAgain,
  });
}
