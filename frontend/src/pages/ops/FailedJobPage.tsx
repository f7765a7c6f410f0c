import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';

import { Badge, StateBadge } from '../../components/Badge';
import { Button } from '../../components/Button';
import { Card } from '../../components/Card';
import { CopyId } from '../../components/CopyId';
import { Icon } from '../../components/Icon';
import { PageHead } from '../../components/PageHead';
import { ErrorState, Skeleton } from '../../components/States';
import { RelativeTime } from '../../components/Time';
import { accountWords, capital, providerWords } from '../../lib/words';
import { AttemptsTable } from '../connections/AttemptsTable';
import { ConnectionTimes } from '../connections/ConnectionTimes';
import { AuditTable } from './AuditTable';
import { OneDialog } from './OneDialog';
import { type Deed, failedJobQuery } from './queries';
import type { Connection, FailedJobStory } from './shapes';
import { jobStateWords, kindWords, reasonLabel, STATE_MEANINGS } from './words';

const route = getRouteApi('/signed-in/ops/failed-jobs/$id');

/** A failed job with its whole history. */
export function FailedJobPage() {
  const { id } = route.useParams();
  const { data, error, refetch, isFetching } = useQuery(failedJobQuery(id));
  return (
    <>
      <Link to="/ops/failed-jobs" className="back">
        <Icon name="chevronLeft" size={16} />
        Failed jobs
      </Link>
      {data ? (
        <Details job={data} />
      ) : (
        <>
          <PageHead title="Failed job" />
          <Card>
            {error ? (
              <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
            ) : (
              <Skeleton lines={8} label="Loading the failed job" />
            )}
          </Card>
        </>
      )}
    </>
  );
}

function Details({ job }: { job: FailedJobStory }) {
  const { label, tone, meaning } = jobStateWords(job.state);
  const { history, audit, unreadable } = job;
  return (
    <>
      <PageHead
        title={kindWords(job.kind)}
        beside={
          <Badge tone={tone} title={meaning}>
            {label}
          </Badge>
        }
        description={
          <>
            Given up <RelativeTime at={job.failed_at} withLocal />
          </>
        }
        actions={job.state === 'open' ? <Actions job={job} /> : undefined}
      />
      <div className="stack">
        <Card title="What went wrong">
          <div className="stack">
            <p className="prose">{capital(job.error) || 'No error was told.'}</p>
            {unreadable && (
              <p className="notice" data-tone="warn">
                The payload cannot be read: {unreadable}. Replay it with an edited payload, or discard it.
              </p>
            )}
            <dl className="facts">
              <Fact name="Job id">
                <CopyId id={job.id} name="job id" />
              </Fact>
              <Fact name="Provider app">{job.provider ? providerWords(job.provider) : 'Not known'}</Fact>
              <Fact name="Attempts">{job.attempts}</Fact>
              <Fact name="Trace id">
                {job.trace_id ? <CopyId id={job.trace_id} name="trace id" /> : 'It was not traced'}
              </Fact>
            </dl>
          </div>
        </Card>
        <TheConnection connection={job.connection ?? null} id={job.connection_id ?? null} />
        <Card flush title="Attempts" description="Every call of the provider for this job, oldest first.">
          {history.length === 0 ? (
            <p className="card-body muted">The job failed before its first call.</p>
          ) : (
            <AttemptsTable attempts={history} caption="Attempts of this job" />
          )}
        </Card>
        <Card title="Payload" description="The job as it came out of the queue.">
          {/* A region that scrolls has to be reachable by keyboard. */}
          {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
          <pre className="payload" tabIndex={0} role="group" aria-label="The payload as text">
            {job.payload_pretty ?? job.payload}
          </pre>
        </Card>
        <Card flush title="What operators did">
          {audit.length === 0 ? (
            <p className="card-body muted">No operator has dealt with this job.</p>
          ) : (
            <AuditTable entries={audit} caption="What operators did to this job" />
          )}
        </Card>
      </div>
    </>
  );
}

function TheConnection({ connection, id }: { connection: Connection | null; id: string | null }) {
  if (connection === null) {
    return (
      <Card title="Connection">
        <p>
          {id === null
            ? 'Which connection it is about could not be read.'
            : 'There is no such connection any more.'}{' '}
          {id !== null && <CopyId id={id} name="connection id" />}
        </p>
      </Card>
    );
  }
  const { name } = accountWords(connection);
  const { state, reason, user } = connection;
  return (
    <Card
      title="The connection as it is now"
      actions={<StateBadge state={state} />}
      description={`${providerWords(connection.provider)}, of ${user}`}
    >
      <div className="stack">
        <p className="prose">
          <Link to="/ops/connections/$id" params={{ id: connection.id }}>
            {name}
          </Link>
          . {STATE_MEANINGS[state]} {reason && state !== 'disconnected' && `${reasonLabel(reason)}.`}
        </p>
        {state !== 'disconnected' && <ConnectionTimes connection={connection} />}
      </div>
    </Card>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Actions({ job }: { job: FailedJobStory }) {
  const [asking, ask] = useState<{ deed: Deed; isEdited?: boolean }>();
  return (
    <>
      <Button
        variant="primary"
        icon="refresh"
        onPress={() => {
          ask({ deed: 'replay' });
        }}
      >
        Replay
      </Button>
      <Button
        onPress={() => {
          ask({ deed: 'replay', isEdited: true });
        }}
      >
        Edit and replay
      </Button>
      <Button
        icon="trash"
        onPress={() => {
          ask({ deed: 'discard' });
        }}
      >
        Discard
      </Button>
      {asking && (
        <OneDialog
          id={job.id}
          deed={asking.deed}
          {...(asking.isEdited ? { payload: job.payload_pretty ?? job.payload } : {})}
          onClose={() => {
            ask(undefined);
          }}
        />
      )}
    </>
  );
}
