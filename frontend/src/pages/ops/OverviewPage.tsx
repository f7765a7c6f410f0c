import { useQuery } from '@tanstack/react-query';

import { Banner } from '../../components/Banner';
import { Card } from '../../components/Card';
import { PageHead } from '../../components/PageHead';
import { ErrorState, Skeleton } from '../../components/States';
import { RelativeTime } from '../../components/Time';
import { STATES, type Tone } from '../../lib/words';
import { ActivityCharts } from './ActivityCharts';
import { ProviderApps } from './ProviderApps';
import { overviewQuery } from './queries';
import { Queues } from './Queues';
import { Tile } from './Tile';
import type { Overview } from './shapes';
import { many } from './words';

/** How things stand, at a glance. */
export function OverviewPage() {
  const { data, error, refetch, isFetching } = useQuery(overviewQuery);
  return (
    <>
      <PageHead
        title="Overview"
        description={
          data && (
            <>
              Evergrant {data.version}, looked at <RelativeTime at={data.at} />. This page keeps itself up to
              date.
            </>
          )
        }
      />
      <div className="stack">
        {data ? (
          <Standing overview={data} isOld={error !== null} />
        ) : (
          <Card>
            {error ? (
              <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
            ) : (
              <Skeleton lines={6} label="Loading how things stand" />
            )}
          </Card>
        )}
        <ActivityCharts />
      </div>
    </>
  );
}

function Standing({ overview, isOld }: { overview: Overview; isOld: boolean }) {
  const { notes, provider_apps: apps, processes, queues } = overview;
  const isAlone = processes && !['serve', 'worker'].some((role) => (processes[role] ?? 0) > 0);
  return (
    <>
      {isOld && (
        <Banner tone="warn" title="These numbers are not fresh">
          The last look did not succeed. It is tried again every 15 seconds.
        </Banner>
      )}
      {notes.length > 0 && (
        <Banner tone="warn" title="Some of this could not be looked at">
          {notes.map((note) => (
            <p key={note}>{note}</p>
          ))}
        </Banner>
      )}
      {isAlone && (
        <Banner tone="bad" title="No worker is running">
          Nothing is refreshed until one is started: <code>evergrant worker</code>, or{' '}
          <code>evergrant serve</code> for everything in one process.
        </Banner>
      )}
      <Tiles overview={overview} />
      <ProviderApps apps={apps ?? null} />
      <Queues queues={queues} />
    </>
  );
}

function Tiles({ overview }: { overview: Overview }) {
  const { connections, failed_jobs_open: jobs, processes } = overview;
  const expired = connections?.expired;
  const all = !processes ? null : Object.values(processes).reduce((sum, count) => sum + count, 0);
  return (
    <ul className="tiles" aria-label="Numbers">
      <Tile label="Connections" value={connections?.total} to={{ to: '/ops/connections' }} />
      {Object.entries(STATES).map(([state, { label, tone }]) => (
        <Tile
          key={state}
          label={label}
          tone={tone}
          value={connections?.by_state[state]}
          to={{ to: '/ops/connections', search: { state } }}
        />
      ))}
      <Tile label="Due now" value={connections?.due} note="To be refreshed at once" />
      <Tile
        label="Token has ended"
        tone={toneOf(expired, 'bad')}
        value={expired}
        to={{ to: '/ops/connections', search: { expired: 'true' } }}
      />
      <Tile
        label="Paused"
        tone={connections?.paused === 0 ? 'neutral' : toneOf(connections?.paused, 'warn')}
        value={connections?.paused}
        note="One by one"
        to={{ to: '/ops/pauses' }}
      />
      <Tile label="Refreshed" value={connections?.refreshed} note="Within the last hour" />
      <Tile
        label="Open failed jobs"
        tone={toneOf(jobs, 'warn')}
        value={jobs}
        to={{ to: '/ops/failed-jobs' }}
      />
      <Tile
        label="Processes"
        value={all}
        {...(processes
          ? {
              note: Object.entries(processes)
                .map(([role, count]) => many(count, role))
                .join(', '),
            }
          : {})}
        to={{ to: '/ops/processes' }}
      />
    </ul>
  );
}

/** None is good; what is not known is not. */
function toneOf(count: number | null | undefined, some: Tone): Tone {
  if (typeof count !== 'number') return 'neutral';
  return count > 0 ? some : 'good';
}
