/** Charts out of what was counted minute by minute. */

import { VERDICTS, verdictWords } from '../../lib/words';
import { duration } from '../../lib/time';
import { kindWords } from './words';
import type { Activity, Line } from './shapes';

/** How long the charts look back, and how many minutes one bar is: a day has too many minutes for a phone. */
export const SPANS = {
  '1h': { label: 'Last hour', minutes: 60, step: 1 },
  '6h': { label: 'Last 6 hours', minutes: 360, step: 5 },
  '24h': { label: 'Last 24 hours', minutes: 1440, step: 15 },
} as const;

export type Span = keyof typeof SPANS;

export function spanOf(text: string | undefined): Span {
  return text !== undefined && Object.hasOwn(SPANS, text) ? (text as Span) : '1h';
}

export type Value = number | null;

export interface Plot {
  readonly label: string;
  readonly values: readonly Value[];
}

export interface Chart {
  /** Seconds since 1970 of the begin of each step; for a histogram the number of each bucket. */
  readonly x: readonly number[];
  readonly plots: readonly Plot[];
  /** What each step is called, where it is no time. */
  readonly steps?: readonly string[];
}

/** The sum of the minutes of each step, or the highest for a level. A step in which nothing is known is null. */
export function inSteps(values: readonly Value[], step: number, isLevel: boolean): Value[] {
  const steps: Value[] = [];
  for (let from = 0; from < values.length; from += step) {
    const known = values.slice(from, from + step).filter((value) => value !== null);
    if (known.length === 0) steps.push(null);
    else if (isLevel) steps.push(Math.max(...known));
    else steps.push(known.reduce((sum, value) => sum + value, 0));
  }
  return steps;
}

/** The begins of the steps. */
export function times({ since, until, step_seconds }: Activity, step: number): number[] {
  const begin = Date.parse(since) / 1000;
  const end = Date.parse(until) / 1000;
  const every = step_seconds * step;
  return Array.from({ length: Math.ceil((end - begin) / every) }, (_, index) => begin + index * every);
}

/** Adds up lines of the same label, as of several provider apps. Of levels the sum is the level of all. */
export function byLabel(lines: readonly Line[]): Map<string, Value[]> {
  const sums = new Map<string, Value[]>();
  for (const { label, values } of lines) {
    const sum = sums.get(label);
    sums.set(label, sum ? sum.map((value, index) => plus(value, values[index] ?? null)) : [...values]);
  }
  return sums;
}

function plus(one: Value, other: Value): Value {
  return one === null ? other : other === null ? one : one + other;
}

const of = (activity: Activity, series: Line['series']) =>
  activity.series.filter((line) => line.series === series);

/** Calls of the token endpoint by verdict, in the order of the verdicts, so that each keeps its colour. */
export function verdictChart(activity: Activity, step: number): Chart {
  const lines = byLabel(of(activity, 'attempts'));
  const known = Object.keys(VERDICTS);
  const labels = [...known, ...[...lines.keys()].filter((label) => !known.includes(label))];
  const x = times(activity, step);
  const plots = labels.map((label) => {
    const values = lines.get(label);
    return {
      label: verdictWords(label).label,
      values: values ? inSteps(values, step, false) : x.map(() => 0),
    };
  });
  return { x, plots: isEmpty(plots) ? [] : plots };
}

/** Of all calls that were answered or not, how many in a hundred brought a token; null where there was none. */
export function successChart(activity: Activity, step: number): Chart {
  const lines = byLabel(of(activity, 'attempts'));
  const x = times(activity, step);
  const good = inSteps(lines.get('refreshed') ?? [], step, false);
  const every = [...lines.values()].map((values) => inSteps(values, step, false));
  const all = x.map((_, index) => every.reduce((sum, values) => sum + (values[index] ?? 0), 0));
  const values = all.map((count, index) => (count === 0 ? null : (100 * (good[index] ?? 0)) / count));
  return { x, plots: all.every((count) => count === 0) ? [] : [{ label: 'Successful', values }] };
}

/** A level over time: one line for each label. */
export function levelChart(activity: Activity, series: 'due' | 'queue_depth', step: number): Chart {
  const plots = [...byLabel(of(activity, series))].map(([label, values]) => ({
    label: series === 'due' ? 'Due' : kindWords(label),
    values: inSteps(values, step, true),
  }));
  const isUnknown = plots.every(({ values }) => values.every((value) => value === null));
  return { x: times(activity, step), plots: isUnknown ? [] : plots };
}

export interface Bucket {
  /** The upper bound in seconds; the last one has none. */
  readonly to: number;
  readonly count: number;
}

/** How many in each bucket, all of the time together, by upper bound. */
export function buckets(activity: Activity, series: 'seconds_left' | 'force_seconds'): Bucket[] {
  const lines = byLabel(of(activity, series));
  const found = [...lines].map(([label, values]) => ({
    to: label === '+Inf' ? Infinity : Number(label),
    count: values.reduce<number>((sum, value) => sum + (value ?? 0), 0),
  }));
  return found.filter(({ to }) => !Number.isNaN(to)).sort((one, other) => one.to - other.to);
}

/** The bars of a histogram, and what each is called. */
export function histogram(found: readonly Bucket[], bound: (seconds: number) => string): Chart {
  const labels = found.map(({ to }, index) => {
    if (to !== Infinity) return `≤ ${bound(to)}`;
    const before = found[index - 1];
    return before ? `> ${bound(before.to)}` : 'any';
  });
  const values = found.map(({ count }) => count);
  const isNothing = values.every((count) => count === 0);
  return {
    x: found.map((_, index) => index),
    plots: isNothing ? [] : [{ label: 'Refreshes', values }],
    steps: labels,
  };
}

/**
 * Below which bound a share of all lies, reckoned within its bucket as Prometheus does. `undefined` if there is nothing;
 * what lies beyond the last bound is told as that bound.
 */
export function percentile(found: readonly Bucket[], share: number): number | undefined {
  const total = found.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return undefined;
  const wanted = share * total;
  let below = 0;
  // How far below zero the first bucket reaches is not known.
  let from = Math.min(0, found[0]?.to ?? 0);
  for (const { to, count } of found) {
    if (count > 0 && below + count >= wanted) {
      return to === Infinity ? from : from + (to - from) * ((wanted - below) / count);
    }
    below += count;
    from = to;
  }
  return from;
}

/** A short length of time: `250 ms`, `2.5 s`, `5 min`. */
export function shortSeconds(seconds: number): string {
  if (seconds < 0) return `−${shortSeconds(-seconds)}`;
  if (seconds === 0) return '0 s';
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  if (seconds < 60) return `${Number(seconds.toPrecision(2))} s`;
  return duration(seconds).replace(/ 0 s$/, '');
}

function isEmpty(plots: readonly Plot[]): boolean {
  return plots.every(({ values }) => values.every((value) => value === null || value === 0));
}
