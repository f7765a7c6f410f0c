import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type ReactNode } from 'react';

import { Card } from '../../components/Card';
import { Chart as ChartCard } from '../../components/Chart';
import { ErrorState, Skeleton } from '../../components/States';
import { local } from '../../lib/time';
import { activityQuery } from './queries';
import {
  type Bucket,
  buckets,
  type Chart,
  histogram,
  levelChart,
  percentile,
  shortSeconds,
  type Span,
  spanOf,
  SPANS,
  successChart,
  type Value,
  verdictChart,
} from './series';
import type { Activity } from './shapes';
import { number } from './words';

const route = getRouteApi('/signed-in/ops/');

/** What happened lately. */
export function ActivityCharts() {
  const span = spanOf(route.useSearch().span);
  const { data, error, refetch, isFetching } = useQuery(activityQuery(span));
  return (
    <>
      <div className="charts-head">
        <h2>What happened</h2>
        <nav className="segments" aria-label="How far back">
          {Object.entries(SPANS).map(([each, { label }]) => (
            <Link
              key={each}
              to="/ops"
              search={each === '1h' ? {} : { span: each }}
              resetScroll={false}
              activeOptions={{ exact: true }}
            >
              {label}
            </Link>
          ))}
        </nav>
      </div>
      {data ? (
        <Charts activity={data} span={span} />
      ) : (
        <Card>
          {error ? (
            <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
          ) : (
            <Skeleton lines={6} label="Loading the charts" />
          )}
        </Card>
      )}
    </>
  );
}

const count = (value: Value) => (value === null ? 'Not known' : number(value));
const percent = (value: Value) => (value === null ? 'None' : `${Number(value.toFixed(1))} %`);

/** Verdicts keep their colours: the good one, what passes, what needs somebody. */
const VERDICT_COLOURS = [1, 3, 2, 4, 5, 6];

function Charts({ activity, span }: { activity: Activity; span: Span }) {
  // A chart that was asked for with another span is drawn in its own steps until the new one comes.
  const minutes = (Date.parse(activity.until) - Date.parse(activity.since)) / 60_000;
  const { step } = Object.values(SPANS).find((each) => minutes <= each.minutes + each.step) ?? SPANS[span];
  const per = step === 1 ? 'each minute' : `every ${step} minutes`;
  const left = buckets(activity, 'seconds_left');
  const waited = buckets(activity, 'force_seconds');
  return (
    <div className="charts">
      <OverTime
        title="Refreshes"
        description={`Calls of the token endpoint ${per}, by what came of them.`}
        kind="stack"
        unit="calls"
        format={count}
        chart={verdictChart(activity, step)}
        colours={VERDICT_COLOURS}
      />
      <OverTime
        title="Success rate"
        description="Of all calls, how many in a hundred brought a token."
        kind="line"
        unit="%"
        max={100}
        format={percent}
        chart={successChart(activity, step)}
        colours={[1]}
      />
      <Histogram
        title="Time left at refresh"
        description="Scheduled refreshes, by what was left of the token’s life. Below zero it had ended already."
        found={left}
        colour={2}
        empty="No token was refreshed by schedule in this time."
        beside={<Figures found={left} shares={[0.01, 0.05, 0.5]} isLow />}
      />
      <Histogram
        title="Wait for a forced refresh"
        description="Forced refreshes, by how long callers waited."
        found={waited}
        colour={5}
        empty="Nobody forced a refresh in this time."
        beside={<Figures found={waited} shares={[0.5, 0.95, 0.99]} />}
      />
      <OverTime
        title="Due backlog"
        description={`Connections that were due, the most ${per}.`}
        kind="line"
        unit="connections"
        format={count}
        chart={levelChart(activity, 'due', step)}
        colours={[3]}
        empty="No scheduler told its backlog in this time."
      />
      <OverTime
        title="Queue depths"
        description={`Jobs that waited in the queues, the most ${per}.`}
        kind="line"
        unit="jobs"
        format={count}
        chart={levelChart(activity, 'queue_depth', step)}
        colours={[2, 4]}
        empty="No process told the depth of a queue in this time."
      />
    </div>
  );
}

interface OverTimeProps {
  title: string;
  description: string;
  kind: 'stack' | 'line';
  unit: string;
  format: (value: Value) => string;
  chart: Chart;
  colours: readonly number[];
  max?: number;
  empty?: string;
}

function OverTime({ chart, colours, ...rest }: OverTimeProps) {
  const { x, plots } = chart;
  return (
    <ChartCard
      {...rest}
      x={x}
      plots={plots.map((plot, index) => ({ ...plot, colour: colours[index] ?? 6 }))}
      stepName={(index) => local((x[index] ?? 0) * 1000, Date.now())}
    />
  );
}

interface HistogramProps {
  title: string;
  description: string;
  found: readonly Bucket[];
  colour: number;
  empty: string;
  beside: ReactNode;
}

function Histogram({ found, colour, ...rest }: HistogramProps) {
  const { x, plots, steps = [] } = histogram(found, shortSeconds);
  return (
    <ChartCard
      {...rest}
      kind="bars"
      unit="refreshes"
      format={count}
      x={x}
      steps={steps}
      plots={plots.map((plot) => ({ ...plot, colour }))}
      stepName={(index) => steps[index] ?? ''}
    />
  );
}

/** The percentiles of a histogram. `isLow`: what matters is its lower end. */
function Figures({
  found,
  shares,
  isLow = false,
}: {
  found: readonly Bucket[];
  shares: number[];
  isLow?: boolean;
}) {
  return (
    <dl className="figures">
      {shares.map((share) => {
        const value = percentile(found, share);
        const percentage = Math.round(share * 100);
        const name = share === 0.5 ? 'Median' : isLow ? `Lowest ${percentage} %` : `${percentage} %`;
        return (
          <div key={share}>
            <dt>{name}</dt>
            <dd>
              {value === undefined
                ? 'None'
                : `${isLow || share === 0.5 ? '' : 'within '}${shortSeconds(value)}`}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
