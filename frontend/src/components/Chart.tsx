import 'uplot/dist/uPlot.min.css';

import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import type uPlot from 'uplot';

import { useShownTheme } from '../app/theme';
import { Button } from './Button';
import { chartOptions, type ChartShape, drawn } from './chartOptions';
import { Table } from './Table';

interface ChartProps extends ChartShape {
  title: string;
  /** What is shown and in which unit, in a sentence. */
  description: string;
  /** The numbers that matter, in words, beside the heading. */
  beside?: ReactNode;
  /** What the steps are called over the table. */
  stepHeader?: string;
  /** What is said when there is nothing to draw. */
  empty?: string;
}

/** A chart that can also be read as a table. */
export function Chart({ title, description, beside, empty, stepHeader, ...shape }: ChartProps) {
  const id = useId();
  const [isTable, showTable] = useState(false);
  const [pointed, point] = useState<number>();
  const { x, plots, stepName, format } = shape;
  const isEmpty = plots.length === 0;
  return (
    <section className="card chart" aria-labelledby={id}>
      <div className="card-head">
        <div>
          <h2 id={id}>{title}</h2>
          <p>{description}</p>
        </div>
        {!isEmpty && (
          <Button
            size="sm"
            variant="quiet"
            aria-pressed={isTable}
            onPress={() => {
              showTable(!isTable);
            }}
          >
            Table<span className="visually-hidden"> of {title}</span>
          </Button>
        )}
      </div>
      {isEmpty ? (
        <p className="chart-empty">{empty ?? 'Nothing happened in this time.'}</p>
      ) : isTable ? (
        // What scrolls has to be reachable by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div className="chart-table" role="group" aria-label={`${title} in numbers`} tabIndex={0}>
          <Table
            caption={title}
            stacks={false}
            columns={[
              {
                id: 'step',
                header: stepHeader ?? (shape.steps ? 'Range' : 'From'),
                cell: (index: number) => stepName(index),
              },
              ...plots.map(({ label, values }) => ({
                id: label,
                header: label,
                align: 'end' as const,
                cell: (index: number) => format(values[index] ?? null),
              })),
            ]}
            rows={shape.steps ? [...x.keys()] : [...x.keys()].reverse()}
            rowKey={String}
          />
        </div>
      ) : (
        <div className="chart-body">
          {beside}
          <Drawing
            label={`${title}. ${description} The button “Table” shows the numbers.`}
            {...shape}
            onPoint={point}
          />
          <p className="legend" aria-hidden="true">
            {plots.map(({ label, values, colour }, index) => (
              <span key={label} className="legend-item">
                <i data-colour={colour} data-dashed={shape.kind === 'line' && index > 0 ? true : undefined} />
                {label}
                {pointed !== undefined && pointed < x.length && <b>{format(values[pointed] ?? null)}</b>}
              </span>
            ))}
            {pointed !== undefined && pointed < x.length && (
              <span className="legend-step">{stepName(pointed)}</span>
            )}
          </p>
        </div>
      )}
    </section>
  );
}

const HEIGHT = 200;

function Drawing({
  label,
  onPoint,
  ...shape
}: ChartShape & { label: string; onPoint: (index: number | undefined) => void }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(shape);
  const theme = useShownTheme();
  // Everything but the numbers: when it changes, the chart is made anew.
  const form = [
    theme,
    shape.kind,
    shape.unit,
    shape.steps?.join(),
    shape.plots.map((each) => each.label).join(),
  ].join('|');

  useEffect(() => {
    latest.current = shape;
    plot.current?.setData(drawn(shape));
  });

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    let isGone = false;
    const size = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    // Only who sees a chart needs the library.
    void import('uplot').then(({ default: Library }) => {
      if (isGone) return;
      const options = chartOptions(Library, () => latest.current, getComputedStyle(element), onPoint);
      plot.current = new Library(
        { ...options, width: element.clientWidth, height: HEIGHT },
        drawn(latest.current),
        element,
      );
      size.observe(element);
    });
    return () => {
      isGone = true;
      size.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [form, onPoint]);

  return <div ref={place} className="chart-drawing" role="img" aria-label={label} />;
}
