import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { Fragment, type ReactNode, useState } from 'react';

import { useDisconnect, useRefreshNow } from '../../app/connections';
import { Badge, StateBadge } from '../../components/Badge';
import { Button } from '../../components/Button';
import { Card } from '../../components/Card';
import { CopyId } from '../../components/CopyId';
import { ConfirmDialog } from '../../components/Dialog';
import { Icon } from '../../components/Icon';
import { PageHead } from '../../components/PageHead';
import { ErrorState, Skeleton } from '../../components/States';
import { Countdown, RelativeTime } from '../../components/Time';
import { accountWords, capital, providerWords } from '../../lib/words';
import { AttemptsTable } from '../connections/AttemptsTable';
import { ConnectionTimes } from '../connections/ConnectionTimes';
import { AuditTable } from './AuditTable';
import { JobsTable } from './JobsTable';
import { OrderLine, PauseButton } from './PauseButton';
import { storyQuery, useReadAgain } from './queries';
import type { Connection, ConnectionStory } from './shapes';
import { PAUSED_MEANING, reasonLabel, STATE_MEANINGS } from './words';

const route = getRouteApi('/signed-in/ops/connections/$id');

/** Everything that is known of a connection but its tokens. */
export function OpsConnectionPage() {
  const { id } = route.useParams();
  const { data, error, refetch, isFetching } = useQuery(storyQuery(id));
  return (
    <>
      <Link to="/ops/connections" className="back">
        <Icon name="chevronLeft" size={16} />
        Connections
      </Link>
      {data ? (
        <Story story={data} />
      ) : (
        <>
          <PageHead title="Connection" />
          <Card>
            {error ? (
              <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
            ) : (
              <Skeleton lines={8} label="Loading the connection" />
            )}
          </Card>
        </>
      )}
    </>
  );
}

function Story({ story }: { story: ConnectionStory }) {
  const { connection, key, attempts, failed_jobs: jobs, audit } = story;
  const { name } = accountWords(connection);
  const { state, reason, last_error, user, paused } = connection;
  return (
    <>
      <PageHead
        title={name}
        beside={
          <>
            <StateBadge state={state} />
            {paused && <Badge tone="warn">Paused</Badge>}
          </>
        }
        description={`${providerWords(connection.provider)}, of ${user}`}
        actions={<Actions connection={connection} />}
      />
      <div className="stack">
        <Card title="How it stands">
          <div className="stack">
            <p className="prose">
              {paused ? PAUSED_MEANING : STATE_MEANINGS[state]}{' '}
              {reason && state !== 'disconnected' && `${reasonLabel(reason)}.`}
            </p>
            {paused && (
              <div className="notice" data-tone="warn">
                <OrderLine order={paused} what="Paused" />
              </div>
            )}
            {last_error && (
              <p className="notice" data-tone={state === 'needs_reauth' ? 'bad' : 'warn'}>
                {capital(last_error)}
              </p>
            )}
            {state !== 'disconnected' && <ConnectionTimes connection={connection} />}
          </div>
        </Card>
        <Card
          flush
          title="Attempts"
          description="Calls of the provider that did not succeed at once, newest first; up to 100."
        >
          {attempts.length === 0 ? (
            <p className="card-body muted">Every refresh went well at once.</p>
          ) : (
            <AttemptsTable attempts={attempts} caption={`Attempts to refresh ${name}`} />
          )}
        </Card>
        <Card flush title="Open failed jobs" description="Nobody has dealt with these.">
          {jobs.length === 0 ? (
            <p className="card-body muted">Nothing of this connection waits for an operator.</p>
          ) : (
            <JobsTable jobs={jobs} caption={`Open failed jobs of ${name}`} />
          )}
        </Card>
        <Card flush title="What operators did">
          {audit.length === 0 ? (
            <p className="card-body muted">No operator has acted on this connection.</p>
          ) : (
            <AuditTable entries={audit} caption={`What operators did to ${name}`} />
          )}
        </Card>
        <Card title="Details">
          <dl className="facts">
            <Fact name="Connection id">
              <CopyId id={connection.id} name="connection id" />
            </Fact>
            <Fact name="User">
              <Link to="/ops/connections" search={{ user }}>
                {user}
              </Link>
            </Fact>
            <Fact name="Account">{connection.account || 'Not known'}</Fact>
            <Fact name="Scopes">
              {connection.scopes ? <Scopes names={connection.scopes} /> : 'Not known'}
            </Fact>
            <Fact name="Version of its tokens">{connection.version}</Fact>
            <Fact name="Jobs failed in a row">{connection.failures}</Fact>
            <Fact name="Encrypted with">
              {key ? <CopyId id={key} name="key fingerprint" /> : 'No tokens'}
            </Fact>
            <Fact name="Leased by a worker">
              <Countdown at={connection.leased_until} none="No" past="No" />
            </Fact>
            <Fact name="Permission given">
              <RelativeTime at={connection.consent_at} none="Not known" withLocal />
            </Fact>
            <Fact name="Made">
              <RelativeTime at={connection.created_at} withLocal />
            </Fact>
          </dl>
        </Card>
      </div>
    </>
  );
}

/** One below the other, each broken only between its words. */
function Scopes({ names }: { names: string }) {
  return names.split(' ').map((name) => (
    <div key={name}>
      {name.split(/(?<=::)/).map((part) => (
        <Fragment key={part}>
          {part}
          <wbr />
        </Fragment>
      ))}
    </div>
  ));
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Actions({ connection }: { connection: Connection }) {
  const refresh = useRefreshNow();
  const disconnect = useDisconnect();
  const readAgain = useReadAgain();
  const [isAsking, ask] = useState(false);
  const { name } = accountWords(connection);
  const isGone = connection.state === 'disconnected';
  if (isGone) return null;
  return (
    <>
      {connection.state !== 'needs_reauth' && !connection.paused && (
        <Button
          icon="refresh"
          isPending={refresh.isPending}
          onPress={() => {
            refresh.mutate(connection, { onSettled: () => void readAgain() });
          }}
        >
          Refresh now
        </Button>
      )}
      <PauseButton
        target={{ kind: 'connection', name: connection.id, called: name }}
        paused={connection.paused}
      />
      <Button
        icon="unlink"
        isPending={disconnect.isPending}
        onPress={() => {
          ask(true);
        }}
      >
        Disconnect
      </Button>
      <ConfirmDialog
        isOpen={isAsking}
        isDangerous
        title={`Disconnect ${name}?`}
        confirm="Disconnect"
        onConfirm={() => {
          ask(false);
          disconnect.mutate(connection, { onSettled: () => void readAgain() });
        }}
        onClose={() => {
          ask(false);
        }}
      >
        <p>
          This is the connection of {connection.user}. Its tokens are deleted here, and everything that works
          with the account stops at once.
        </p>
        <p>Only its user can connect it again.</p>
      </ConfirmDialog>
    </>
  );
}
