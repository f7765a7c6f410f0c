import { cleanup, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, expect, it, vi } from 'vitest';

import { Chart } from '../../components/Chart';
import type { DayUsage, Usage } from './shapes';
import {
  allDays,
  callsChart,
  daysOf,
  failureShare,
  forcedChart,
  leftChart,
  rankOf,
  refreshesChart,
  sumUp,
} from './usage';
import { sentenceOf } from './UsagePage';

// Nothing is drawn in jsdom: what counts here is the table.
vi.mock('uplot', () => ({
  default: class {
    static readonly paths = {};
    readonly setData = () => undefined;
    readonly setSize = () => undefined;
    readonly destroy = () => undefined;
  },
}));

vi.stubGlobal(
  'ResizeObserver',
  class {
    readonly observe = () => undefined;
    readonly disconnect = () => undefined;
  },
);

afterEach(cleanup);

function aDay(day: string, differing: Partial<DayUsage> = {}): DayUsage {
  return {
    day,
    provider: 'amazon-na',
    users: 1,
    refreshes: 0,
    failures: 0,
    forced: 0,
    calls: 0,
    left: null,
    ...differing,
  };
}

function usage(...days: DayUsage[]): Usage {
  return {
    since: '2026-02-27',
    until: '2026-03-02',
    days,
    users: [],
    unused: { days: 30, connections: 0, of: 0, rest: false },
    suggestions: [],
  };
}

const left = (mean_seconds: number, least_seconds = mean_seconds, ended = 0) => ({
  mean_seconds,
  least_seconds,
  ended,
});

it('takes of the address what there is, and something else otherwise', () => {
  expect([daysOf('30'), daysOf('31'), daysOf(undefined), daysOf('toString')]).toEqual(['30', '7', '7', '7']);
  expect([rankOf('failures'), rankOf('names'), rankOf(undefined)]).toEqual(['failures', 'calls', 'calls']);
});

it('knows every day of the time, over the end of a month too', () => {
  expect(allDays(usage())).toEqual(['2026-02-27', '2026-02-28', '2026-03-01', '2026-03-02']);
});

it('draws days on which nothing happened as nothing, and adds up the provider apps', () => {
  const { plots, steps } = refreshesChart(
    usage(
      aDay('2026-02-28', { refreshes: 3, failures: 1 }),
      aDay('2026-02-28', { provider: 'amazon-eu', refreshes: 4 }),
      aDay('2026-03-02', { refreshes: 5 }),
    ),
  );
  expect(steps).toHaveLength(4);
  expect(plots).toEqual([
    { label: 'Refreshed', values: [0, 7, 0, 5] },
    { label: 'Failed', values: [0, 1, 0, 0] },
  ]);
});

it('has nothing to draw where nothing was counted', () => {
  const idle = usage(aDay('2026-02-28', { refreshes: 1 }));
  expect(forcedChart(idle).plots).toEqual([]);
  expect(callsChart(idle).plots).toEqual([]);
  expect(leftChart(idle).plots).toEqual([]);
});

it('lets averages count as much as they stand for, and keeps the least', () => {
  const sums = sumUp([
    aDay('2026-02-27', { refreshes: 90, left: left(900, 300) }),
    aDay('2026-02-28', { refreshes: 12, forced: 2, left: left(100, -20, 3) }),
    aDay('2026-03-01', { forced: 5, refreshes: 5 }),
  ]);
  expect(sums).toMatchObject({ refreshes: 107, forced: 7 });
  expect(sums.left).toEqual({ mean_seconds: 820, least_seconds: -20, ended: 3 });
  expect(sumUp([aDay('2026-02-27')]).left).toBeUndefined();
});

it('shows that nothing was left, which is not the same as nothing being known', () => {
  const { plots } = leftChart(usage(aDay('2026-02-27', { refreshes: 1, left: left(0) })));
  expect(plots[0]?.values).toContain(0);
  const known = leftChart(usage(aDay('2026-02-28', { refreshes: 1, left: left(600, 30) })));
  expect(known.plots).toEqual([
    { label: 'On average', values: [null, 600, null, null] },
    { label: 'The least', values: [null, 30, null, null] },
  ]);
});

it('names the provider apps with the most calls, and the others together', () => {
  const of = (provider: string, calls: number) => aDay('2026-02-27', { provider, calls });
  const three = callsChart(usage(of('b', 1), of('a', 5), of('c', 3)));
  expect(three.plots.map(({ label }) => label)).toEqual(['a', 'c', 'b']);
  const many = callsChart(usage(...Array.from({ length: 9 }, (_, index) => of(`p${index}`, index + 1))));
  expect(many.plots).toHaveLength(6);
  expect(many.plots.at(-1)).toEqual({ label: 'Others', values: [1 + 2 + 3 + 4, 0, 0, 0] });
});

it('says how many failed without rounding any away', () => {
  expect(failureShare({ refreshes: 0, failures: 0 })).toBeUndefined();
  expect(failureShare({ refreshes: 5, failures: 0 })).toBe('0 %');
  expect(failureShare({ refreshes: 99_999, failures: 1 })).toBe('less than 0.1 %');
  expect(failureShare({ refreshes: 995, failures: 5 })).toBe('0.5 %');
});

it('makes a sentence of a reason', () => {
  expect(sentenceOf('the least that was left is 3 s')).toBe('The least that was left is 3 s.');
  expect(sentenceOf('Enough.')).toBe('Enough.');
});

it('can be read as a table, with days for its rows', async () => {
  const { x, plots, steps } = refreshesChart(usage(aDay('2026-02-28', { refreshes: 1_200 })));
  render(
    <Chart
      title="Refreshes"
      description="By day."
      kind="stack"
      unit="refreshes"
      stepHeader="Day"
      format={String}
      x={x}
      steps={steps ?? []}
      plots={plots.map((plot) => ({ ...plot, colour: 1 }))}
      stepName={(index) => steps?.[index] ?? ''}
    />,
  );
  await userEvent.setup().click(screen.getByRole('button', { name: /^Table/ }));
  expect(screen.getByRole('columnheader', { name: 'Day' })).toBeDefined();
  expect(screen.getByRole('cell', { name: '1200' })).toBeDefined();
});
