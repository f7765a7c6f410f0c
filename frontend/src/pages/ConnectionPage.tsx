import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';

import { attemptsQuery, connectionQuery } from '../app/connections';
import { Card } from '../components/Card';
import { CopyId } from '../components/CopyId';
import { Icon } from '../components/Icon';
import { PageHead } from '../components/PageHead';
import { EmptyState, ErrorState, Skeleton } from '../components/States';
import { RelativeTime } from '../components/Time';
import { accountWords, type Connection, providerWords, scopeWords } from '../lib/words';
import { AttemptsTable } from './connections/AttemptsTable';
import { ConnectionActions } from './connections/ConnectionActions';
import { ConnectionTimes } from './connections/ConnectionTimes';
import { StandingBadge, WhatItMeans } from './connections/WhatItMeans';

const route = getRouteApi('/signed-in/connections/$id');

/** One account: how it stands, and what happened. */
export function ConnectionPage() {
  const { id } = route.useParams();
  const { data, error, refetch, isFetching } = useQuery(connectionQuery(id));
  return (
    <>
      <Link to="/connections" className="back">
        <Icon name="chevronLeft" size={16} />
        Connections
      </Link>
      {/* The same heading before and after, so that the focus stays on it. */}
      <PageHead
        title={data ? accountWords(data).name : 'Connection'}
        beside={data && <StandingBadge connection={data} />}
        description={data && providerWords(data.provider)}
      />
      {data ? (
        <Details connection={data} />
      ) : (
        <Card>
          {error ? (
            <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
          ) : (
            <Skeleton lines={6} label="Loading the connection" />
          )}
        </Card>
      )}
    </>
  );
}

function Details({ connection }: { connection: Connection }) {
  const { detail } = accountWords(connection);
  return (
    <div className="stack">
      <Card title="How it stands">
        <div className="connection-parts">
          <WhatItMeans connection={connection} always />
          {connection.state !== 'disconnected' && <ConnectionTimes connection={connection} />}
          <ConnectionActions connection={connection} />
        </div>
      </Card>
      <History connection={connection} />
      <Card title="Details">
        <dl className="facts">
          {detail !== undefined && (
            <div>
              <dt>Amazon account</dt>
              <dd>
                <CopyId id={detail} name="account id" />
              </dd>
            </div>
          )}
          <div>
            <dt>Connection id</dt>
            <dd>
              <CopyId id={connection.id} name="connection id" />
            </dd>
          </div>
          <div>
            <dt>Permission given</dt>
            <dd>
              <RelativeTime at={connection.consent_at} none="Not known" />
            </dd>
          </div>
          <div>
            <dt>Connected since</dt>
            <dd>
              <RelativeTime at={connection.created_at} />
            </dd>
          </div>
          <div className="facts-wide">
            <dt>Permission covers</dt>
            <dd>{scopeWords(connection.scopes).join(', ') || 'Not known'}</dd>
          </div>
        </dl>
      </Card>
    </div>
  );
}

function History({ connection }: { connection: Connection }) {
  const { data, error, refetch, isFetching } = useQuery(attemptsQuery(connection.id));
  return (
    <Card
      flush
      title="History"
      description="Refreshes that did not go well at once, newest first. One that did leaves only its time, above."
    >
      {data === undefined ? (
        error ? (
          <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
        ) : (
          <div className="card-body">
            <Skeleton lines={4} label="Loading the history" />
          </div>
        )
      ) : data.items.length === 0 ? (
        <EmptyState icon="check" title="No trouble so far">
          No refresh of this account has gone wrong.
        </EmptyState>
      ) : (
        <AttemptsTable
          attempts={data.items}
          caption={`Attempts to refresh ${accountWords(connection).name}`}
        />
      )}
    </Card>
  );
}
