/** What was done for whom, day by day, made ready to be drawn. */

import { keepPreviousData, queryOptions } from '@tanstack/react-query';

import { providerWords } from '../../lib/words';
import api from '../../services/api';
import { filled, USAGE_FILTERS } from './filters';
import { OPS } from './queries';
import type { Chart, Value } from './series';
import type { DayUsage, TimeLeft, Usage, UserUsage } from './shapes';

export type UsageSearch = Partial<Record<(typeof USAGE_FILTERS)[number], string>>;

/** How far back it looks. */
export const DAYS = {
  '7': '7 days',
  '30': '30 days',
  '90': '90 days',
} as const;

export type Days = keyof typeof DAYS;

export const daysOf = (text: string | undefined): Days =>
  text !== undefined && Object.hasOwn(DAYS, text) ? (text as Days) : '7';

/** What users are ranked by. */
export const RANKS = {
  calls: 'Tokens given out and calls',
  refreshes: 'Refreshes',
  failures: 'Failures',
  forced: 'Forced refreshes',
} as const;

export type Rank = keyof typeof RANKS;

export const rankOf = (text: string | undefined): Rank =>
  text !== undefined && Object.hasOwn(RANKS, text) ? (text as Rank) : 'calls';

/** Processes write what they counted once a minute. */
const EVERY_MS = 60_000;
const USERS = 20;

export function usageQuery(search: UsageSearch) {
  const { user } = filled(USAGE_FILTERS, search);
  const params = {
    days: daysOf(search.days),
    by: rankOf(search.by),
    limit: USERS,
    ...(user === undefined ? {} : { user }),
  };
  return queryOptions({
    queryKey: [...OPS, 'usage', params],
    queryFn: async ({ signal }) => (await api.get<Usage>('/ops/usage', { params, signal })).data,
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
  });
}

const DAY_MS = 24 * 3600 * 1000;

/** Every day of the time, also those on which nothing happened. */
export function allDays({ since, until }: Pick<Usage, 'since' | 'until'>): string[] {
  const days: string[] = [];
  for (let at = Date.parse(since); at <= Date.parse(until); at += DAY_MS) {
    days.push(new Date(at).toISOString().slice(0, 10));
  }
  return days;
}

const dayFormat = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', timeZone: 'UTC' });

/** A day of the roll-ups, which are days in UTC wherever the reader is: `23 Nov`. */
export const dayWords = (day: string) => dayFormat.format(Date.parse(day));

/** What was counted in all. */
export interface Sums {
  readonly refreshes: number;
  readonly failures: number;
  readonly forced: number;
  readonly calls: number;
  readonly left: TimeLeft | undefined;
}

/** How many scheduled refreshes an average stands for, as far as that can be told. */
const weight = ({ refreshes, failures, forced }: Pick<DayUsage, 'refreshes' | 'failures' | 'forced'>) =>
  Math.max(1, refreshes + failures - forced);

/** Averages count as much as the refreshes that they stand for; of the least the least is kept. */
export function sumUp(
  days: readonly Pick<DayUsage, 'refreshes' | 'failures' | 'forced' | 'calls' | 'left'>[],
): Sums {
  const add = (of: (day: (typeof days)[number]) => number) => days.reduce((sum, day) => sum + of(day), 0);
  const known = days.flatMap((day) => (day.left ? [{ left: day.left, weight: weight(day) }] : []));
  const weights = known.reduce((sum, each) => sum + each.weight, 0);
  return {
    refreshes: add(({ refreshes }) => refreshes),
    failures: add(({ failures }) => failures),
    forced: add(({ forced }) => forced),
    calls: add(({ calls }) => calls),
    left:
      known.length === 0
        ? undefined
        : {
            mean_seconds: Math.round(
              known.reduce((sum, each) => sum + each.left.mean_seconds * each.weight, 0) / weights,
            ),
            least_seconds: Math.min(...known.map(({ left }) => left.least_seconds)),
            ended: known.reduce((sum, { left }) => sum + left.ended, 0),
          },
  };
}

function byDay(usage: Usage): Map<string, DayUsage[]> {
  const found = new Map<string, DayUsage[]>(allDays(usage).map((day) => [day, []]));
  for (const each of usage.days) found.get(each.day)?.push(each);
  return found;
}

function chart(usage: Usage, plots: { label: string; value: (of: Sums) => Value }[]): Chart {
  const sums = [...byDay(usage).values()].map(sumUp);
  const drawn = plots.map(({ label, value }) => ({ label, values: sums.map(value) }));
  const isNothing = drawn.every(({ values }) => values.every((value) => value === null || value === 0));
  return {
    x: sums.map((_, index) => index),
    steps: allDays(usage).map(dayWords),
    plots: isNothing ? [] : drawn,
  };
}

export const refreshesChart = (usage: Usage): Chart =>
  chart(usage, [
    { label: 'Refreshed', value: ({ refreshes }) => refreshes },
    { label: 'Failed', value: ({ failures }) => failures },
  ]);

export const forcedChart = (usage: Usage): Chart =>
  chart(usage, [{ label: 'Forced', value: ({ forced }) => forced }]);

export function leftChart(usage: Usage): Chart {
  const found = chart(usage, [
    { label: 'On average', value: ({ left }) => left?.mean_seconds ?? null },
    { label: 'The least', value: ({ left }) => left?.least_seconds ?? null },
  ]);
  // Nothing left at all is something to be seen, and not nothing.
  const isKnown = usage.days.some(({ left }) => left);
  if (!isKnown || found.plots.length > 0) return found;
  const zero = allDays(usage).map(() => 0);
  return { ...found, plots: [{ label: 'On average', values: zero }] };
}

/** What was given out, by provider app: of those with the most, the rest together. */
export function callsChart(usage: Usage): Chart {
  const totals = new Map<string, number>();
  for (const { provider, calls } of usage.days) totals.set(provider, (totals.get(provider) ?? 0) + calls);
  const most = [...totals].sort(([, one], [, other]) => other - one).map(([provider]) => provider);
  const named = most.length <= 6 ? most : most.slice(0, 5);
  const days = [...byDay(usage).values()];
  const count = (isMeant: (provider: string) => boolean) =>
    days.map((each) => each.reduce((sum, { provider, calls }) => sum + (isMeant(provider) ? calls : 0), 0));
  const plots = named.map((name) => ({ label: providerWords(name), values: count((each) => each === name) }));
  if (most.length > named.length) {
    plots.push({ label: 'Others', values: count((each) => !named.includes(each)) });
  }
  const isNothing = plots.every(({ values }) => values.every((value) => value === 0));
  return {
    x: days.map((_, index) => index),
    steps: allDays(usage).map(dayWords),
    plots: isNothing ? [] : plots,
  };
}

/** How many in a hundred refreshes failed: `0.4 %`; `undefined` if there was none. */
export function failureShare({
  refreshes,
  failures,
}: Pick<UserUsage, 'refreshes' | 'failures'>): string | undefined {
  const all = refreshes + failures;
  if (all === 0) return undefined;
  if (failures === 0) return '0 %';
  const share = (100 * failures) / all;
  return share < 0.1 ? 'less than 0.1 %' : `${Number(share.toFixed(1))} %`;
}
