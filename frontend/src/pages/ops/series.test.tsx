import { describe, expect, test } from 'vitest';

import { drawn } from '../../components/chartOptions';
import {
  buckets,
  byLabel,
  histogram,
  inSteps,
  levelChart,
  percentile,
  shortSeconds,
  spanOf,
  successChart,
  times,
  verdictChart,
} from './series';
import type { Activity, Line } from './shapes';

const line = (series: Line['series'], label: string, values: Line['values'], provider?: string): Line => ({
  series,
  label,
  values,
  is_level: series === 'due' || series === 'queue_depth',
  ...(provider === undefined ? {} : { provider }),
});

const activity = (...series: Line[]): Activity => ({
  since: '2026-11-23T12:00:00Z',
  until: '2026-11-23T12:04:00Z',
  step_seconds: 60,
  series,
});

const values = (chart: { plots: readonly { label: string; values: readonly (number | null)[] }[] }) =>
  Object.fromEntries(chart.plots.map((plot) => [plot.label, plot.values]));

describe('steps', () => {
  test('counts are added up, of levels the highest counts, and what nobody looked at stays unknown', () => {
    expect(inSteps([1, 2, 3, 4, 5], 2, false)).toEqual([3, 7, 5]);
    expect(inSteps([1, 7, null, 4, null, null], 2, true)).toEqual([7, 4, null]);
    expect(inSteps([], 5, false)).toEqual([]);
  });

  test('each step has its begin, also a last one that is not full', () => {
    const begin = Date.parse('2026-11-23T12:00:00Z') / 1000;
    expect(times(activity(), 1)).toEqual([begin, begin + 60, begin + 120, begin + 180]);
    expect(times(activity(), 3)).toEqual([begin, begin + 180]);
  });

  test('an address that names no span means the last hour', () => {
    expect([spanOf('6h'), spanOf('toString'), spanOf(undefined)]).toEqual(['6h', '1h', '1h']);
  });
});

describe('lines over time', () => {
  test('the same verdict of several provider apps is one', () => {
    const lines = [
      line('attempts', 'refreshed', [1, 0], 'amazon-na'),
      line('attempts', 'refreshed', [2, 3], 'amazon-eu'),
    ];
    expect(byLabel(lines)).toEqual(new Map([['refreshed', [3, 3]]]));
  });

  test('a level that one of two did not tell is that of the other', () => {
    const lines = [line('due', '', [1, null, null]), line('due', '', [2, 3, null])];
    expect(byLabel(lines)).toEqual(new Map([['', [3, 3, null]]]));
  });

  test('every verdict has its place, so that it keeps its colour, and a new one is shown as well', () => {
    const chart = verdictChart(activity(line('attempts', 'brand_new', [0, 1, 0, 0])), 2);
    expect(chart.plots.map(({ label }) => label)).toEqual([
      'Refreshed',
      'Amazon unavailable',
      'Asked to wait',
      'Permission refused',
      'Our app refused',
      'Answer not usable',
      'Brand new',
    ]);
    expect(values(chart)['Brand new']).toEqual([1, 0]);
    expect(values(chart)['Refreshed']).toEqual([0, 0]);
  });

  test('nothing happened: there is nothing to draw', () => {
    expect(verdictChart(activity(), 1).plots).toEqual([]);
    expect(verdictChart(activity(line('attempts', 'refreshed', [0, 0, 0, 0])), 1).plots).toEqual([]);
    expect(successChart(activity(), 1).plots).toEqual([]);
    expect(levelChart(activity(line('due', '', [null, null, null, null])), 'due', 1).plots).toEqual([]);
  });

  test('a backlog of nothing is drawn: it is good news', () => {
    const chart = levelChart(activity(line('due', '', [0, null, 0, 0])), 'due', 1);
    expect(values(chart)).toEqual({ Due: [0, null, 0, 0] });
  });

  test('the rate is of all calls, and no call has no rate', () => {
    const chart = successChart(
      activity(line('attempts', 'refreshed', [3, 0, 0, 1]), line('attempts', 'transient', [1, 0, 2, 0])),
      1,
    );
    expect(values(chart)).toEqual({ Successful: [75, null, 0, 100] });
  });

  test('queues are called by what their jobs do', () => {
    const chart = levelChart(activity(line('queue_depth', 'refresh_due', [4, 9, 1, 2])), 'queue_depth', 2);
    expect(values(chart)).toEqual({ 'Refresh before the end': [9, 2] });
  });

  test('a stack is drawn from its top down to its foot', () => {
    const plots = [
      { label: 'a', values: [1, 2], colour: 1 },
      { label: 'b', values: [3, null], colour: 2 },
    ];
    const shape = { x: [0, 60], plots, unit: '', format: String, stepName: String };
    expect(drawn({ ...shape, kind: 'stack' })).toEqual([
      [0, 60],
      [4, 2],
      [1, 2],
    ]);
    expect(drawn({ ...shape, kind: 'line' })).toEqual([
      [0, 60],
      [1, 2],
      [3, null],
    ]);
  });
});

describe('histograms', () => {
  const found = buckets(
    activity(
      line('force_seconds', '+Inf', [0, 0, 0, 10]),
      line('force_seconds', '10', [20, 0, 0, 0]),
      line('force_seconds', '1', [40, 0, 10, 0]),
      line('force_seconds', '0.5', [10, 10, 0, 0]),
      line('force_seconds', 'nonsense', [1, 1, 1, 1]),
    ),
    'force_seconds',
  );

  test('buckets come in the order of their bounds, and each has the sum of all minutes', () => {
    expect(found).toEqual([
      { to: 0.5, count: 20 },
      { to: 1, count: 50 },
      { to: 10, count: 20 },
      { to: Infinity, count: 10 },
    ]);
    const { steps, plots } = histogram(found, shortSeconds);
    expect(steps).toEqual(['≤ 500 ms', '≤ 1 s', '≤ 10 s', '> 10 s']);
    expect(plots).toEqual([{ label: 'Refreshes', values: [20, 50, 20, 10] }]);
  });

  test('a percentile lies within its bucket, and beyond the last bound it is that bound', () => {
    expect(percentile(found, 0.2)).toBe(0.5);
    expect(percentile(found, 0.45)).toBe(0.75);
    expect(percentile(found, 0.8)).toBe(5.5);
    expect(percentile(found, 0.99)).toBe(10);
    expect(percentile([], 0.5)).toBeUndefined();
    expect(percentile([{ to: 1, count: 0 }], 0.5)).toBeUndefined();
    expect(percentile([{ to: Infinity, count: 3 }], 0.5)).toBe(0);
  });

  test('a percentile below the first bound is that bound where it is below zero: how far below is not known', () => {
    const left = [
      { to: -60, count: 4 },
      { to: 0, count: 0 },
      { to: 30, count: 4 },
    ];
    expect(percentile(left, 0.25)).toBe(-60);
    expect(percentile(left, 0.75)).toBe(15);
  });

  test('times are short', () => {
    const told = [0.001, 0.0025, 0.25, 1, 2.5, 60, 90, 3600, 0, -10, -60].map(shortSeconds);
    expect(told).toEqual([
      '1 ms',
      '2.5 ms',
      '250 ms',
      '1 s',
      '2.5 s',
      '1 min',
      '1 min 30 s',
      '1 h',
      '0 s',
      '−10 s',
      '−1 min',
    ]);
  });
});
