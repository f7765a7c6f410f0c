/** What operators hold back by hand, and how they let go again. */

import { keepPreviousData, queryOptions, useMutation } from '@tanstack/react-query';

import { toasts } from '../../components/toasts';
import { problemLine } from '../../lib/problemWords';
import { capital, providerWords } from '../../lib/words';
import api from '../../services/api';
import { EVERY_MS, OPS, PAGE_SIZE, useReadAgain } from './queries';
import type { Draining, Paused, Pauses, Resumed, Undrained } from './shapes';
import { kindWords } from './words';

export type PauseKind = 'queue' | 'app' | 'connection';

/** What can be paused. */
export interface Target {
  readonly kind: PauseKind;
  readonly name: string;
  /** What it is called in front of people, where that is something else than its name. */
  readonly called?: string;
}

/** The target of a pause, if this page knows its kind. */
export function targetOf({ kind, name }: { kind: string; name: string }): Target | undefined {
  return kind === 'queue' || kind === 'app' || kind === 'connection' ? { kind, name } : undefined;
}

/** A target in words, as it stands within a sentence. */
export function targetWords({ kind, name, called }: Target): string {
  if (kind === 'queue') return `the queue “${kindWords(name)}”`;
  if (kind === 'app') return providerWords(name);
  return called ?? `the connection ${name}`;
}

/** What a pause does, before it is ordered. */
export const PAUSE_MEANINGS: Record<PauseKind, string> = {
  queue:
    'No job of this kind is begun, in the whole cluster and through every restart. Tokens that end meanwhile are refreshed when it is resumed, the longest overdue first.',
  app: 'None of its connections is refreshed, in the whole cluster and through every restart. Tokens that end meanwhile are refreshed when it is resumed, the longest overdue first.',
  connection:
    'It is not refreshed, neither by schedule nor on demand, until it is resumed. Whoever uses it after its token has ended is told why.',
};

export function pausesQuery(after: string | undefined) {
  return queryOptions({
    queryKey: [...OPS, 'pauses', after ?? ''],
    queryFn: async ({ signal }) =>
      (await api.get<Pauses>('/ops/pauses', { params: { limit: PAGE_SIZE, after }, signal })).data,
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
  });
}

const explain = (error: unknown) => {
  toasts.show('bad', problemLine(error));
};

interface Wish {
  target: Target;
  why: string;
}

const sentenceOf = (target: Target, what: string) => {
  const words = targetWords(target);
  // Names stay as they are.
  return `${words.startsWith('the ') ? capital(words) : words} ${what}`;
};

export function usePause() {
  const readAgain = useReadAgain();
  return useMutation({
    mutationFn: async ({ target: { kind, name }, why }: Wish) =>
      (await api.post<Paused>('/ops/pauses', { kind, name, why })).data,
    onSuccess: ({ was_paused, by }, { target }) => {
      if (was_paused)
        toasts.show('info', sentenceOf(target, `was paused already, by ${by}. It is left as it was.`));
      else toasts.show('good', sentenceOf(target, 'is paused.'));
    },
    onError: explain,
    onSettled: readAgain,
  });
}

export function useResume() {
  const readAgain = useReadAgain();
  return useMutation({
    mutationFn: async ({ target: { kind, name }, why }: Wish) => {
      const path = `/ops/pauses/${kind}/${encodeURIComponent(name)}`;
      return (await api.delete<Resumed>(path, { params: why === '' ? {} : { reason: why } })).data;
    },
    onSuccess: ({ was_paused }, { target }) => {
      if (was_paused) toasts.show('good', sentenceOf(target, 'is resumed.'));
      else toasts.show('info', sentenceOf(target, 'was not paused any more.'));
    },
    onError: explain,
    onSettled: readAgain,
  });
}

export function useDrain() {
  const readAgain = useReadAgain();
  return useMutation({
    mutationFn: async ({ process, why }: { process: string; why: string }) =>
      (await api.post<Draining>(`/ops/processes/${encodeURIComponent(process)}/drain`, { why })).data,
    onSuccess: ({ was_drained, drain }) => {
      if (was_drained) toasts.show('info', `It was drained already, by ${drain.by}. That is left as it was.`);
      else toasts.show('good', 'It takes no new jobs, and finishes those in hand.');
    },
    onError: explain,
    onSettled: readAgain,
  });
}

export function useUndrain() {
  const readAgain = useReadAgain();
  return useMutation({
    mutationFn: async (process: string) =>
      (await api.delete<Undrained>(`/ops/processes/${encodeURIComponent(process)}/drain`)).data,
    onSuccess: () => {
      toasts.show('good', 'It takes jobs again.');
    },
    onError: explain,
    onSettled: readAgain,
  });
}
