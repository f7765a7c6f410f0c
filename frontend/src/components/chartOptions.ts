/** How charts are drawn: colours come from the page, so that light and dark are the page's own. */

import type uPlot from 'uplot';

type Value = number | null;

export interface ChartPlot {
  label: string;
  values: readonly Value[];
  /** Which of the colours for charts, from 1 on. They can be told apart whatever colours somebody sees. */
  colour: number;
}

export interface ChartShape {
  /** `stack`: bars above each other; `line`: lines over time; `bars`: one bar for each step. */
  kind: 'stack' | 'line' | 'bars';
  /** Seconds since 1970, or the number of each step. */
  x: readonly number[];
  plots: readonly ChartPlot[];
  /** The names of the steps, where they are no times. */
  steps?: readonly string[] | undefined;
  unit: string;
  /** A value in words. */
  format: (value: Value) => string;
  /** A step in words. */
  stepName: (index: number) => string;
  /** The end of the scale, where it is known, as for percents. */
  max?: number;
}

/** The numbers as they are drawn. Of a stack the highest comes first, and the others are drawn over its foot. */
export function drawn({ kind, x, plots }: ChartShape): uPlot.AlignedData {
  if (kind !== 'stack') return [[...x], ...plots.map(({ values }) => [...values])];
  const sums: Value[][] = [];
  for (const { values } of plots) {
    const below = sums.at(-1);
    sums.push(values.map((value, index) => (value ?? 0) + (below?.[index] ?? 0)));
  }
  return [[...x], ...sums.reverse()];
}

export function chartOptions(
  library: typeof uPlot,
  shape: () => ChartShape,
  style: CSSStyleDeclaration,
  onPoint: (index: number | undefined) => void,
): Omit<uPlot.Options, 'width' | 'height'> {
  const { kind, plots, steps, max } = shape();
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const ground = colour('--color-surface');
  const bars = library.paths.bars?.({ size: [kind === 'bars' ? 0.75 : 0.9, 48] });
  const axis = {
    stroke: colour('--color-muted'),
    font: `12px ${style.fontFamily}`,
    grid: { stroke: colour('--color-border'), width: 1 },
    ticks: { show: false },
  };
  const series = plots.map((plot, index): uPlot.Series => {
    const own = colour(`--chart-${plot.colour}`);
    if (kind === 'line') {
      return {
        label: plot.label,
        stroke: own,
        width: 2,
        ...(index > 0 ? { dash: [6, 4] } : {}),
        spanGaps: false,
        points: { show: plot.values.filter((value) => value !== null).length < 3 },
      };
    }
    return {
      label: plot.label,
      fill: own,
      stroke: ground,
      width: kind === 'stack' ? 1 : 0,
      points: { show: false },
      ...(bars ? { paths: bars } : {}),
    };
  });
  return {
    legend: { show: false },
    cursor: { drag: { setScale: false, x: false, y: false }, points: { show: kind === 'line' }, y: false },
    scales: {
      x: steps ? { time: false, range: [-0.5, steps.length - 0.5] } : { time: true },
      // What may be below zero, as time that was left, is shown there.
      y: { range: (_, lowest, highest) => [bottom(lowest), max ?? top(highest)] },
    },
    axes: [
      {
        ...axis,
        size: 28,
        grid: { show: false },
        ...(steps
          ? {
              space: 56,
              incrs: [1, 2, 3, 5, 7, 14, 30, 60],
              values: (_: uPlot, splits: number[]) => splits.map((at) => shape().steps?.[at] ?? ''),
            }
          : {
              space: 64,
              values: (_: uPlot, splits: number[]) => splits.map((at) => clock.format(at * 1000)),
            }),
      },
      {
        ...axis,
        size: 56,
        incrs: WHOLE,
        values: (_, splits) => splits.map((value) => whole(value, shape().unit)),
      },
    ],
    series: [{}, ...(kind === 'stack' ? series.reverse() : series)],
    hooks: {
      setCursor: [
        ({ cursor }) => {
          onPoint(cursor.idx ?? undefined);
        },
      ],
    },
  };
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** Steps of a scale: 1, 2, 5, 10, and so on. A line that has no number would say nothing. */
const WHOLE = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

/** Nothing is counted in halves, so that a scale of a few shows only whole numbers. */
function whole(value: number, unit: string): string {
  if (!Number.isInteger(value)) return '';
  return unit === '%' ? `${value} %` : compact.format(value);
}

/** Zero, or a little below the lowest if that is below zero. */
function bottom(lowest: number | null): number {
  return lowest === null || lowest >= 0 ? 0 : Math.min(lowest * 1.1, lowest - 0.5);
}

/** A little above the highest, so that it does not touch the edge. */
function top(highest: number | null): number {
  return highest === null || highest <= 0 ? 1 : Math.max(highest * 1.1, highest + 0.5);
}
