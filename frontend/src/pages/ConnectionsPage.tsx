import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';

import { ownConnectionsQuery, useConnectAnother } from '../app/connections';
import { Button } from '../components/Button';
import { Card } from '../components/Card';
import { PageHead } from '../components/PageHead';
import { EmptyState, ErrorState, Skeleton } from '../components/States';
import { ConnectionCard } from './connections/ConnectionCard';
import { inOrder } from './connections/order';

const signedIn = getRouteApi('/signed-in');

/** A user's accounts, what needs them first. */
export function ConnectionsPage() {
  const { me } = signedIn.useRouteContext();
  const list = useInfiniteQuery(ownConnectionsQuery(me.id));
  const connect = useConnectAnother();
  const connections = list.data ? inOrder(list.data.pages.flatMap((page) => page.items)) : undefined;
  const connectButton = (label: string, variant: 'primary' | 'secondary') => (
    <Button
      variant={variant}
      icon="plus"
      isPending={connect.isPending}
      onPress={() => {
        connect.mutate();
      }}
    >
      {label}
    </Button>
  );
  const isEmpty = connections?.length === 0;
  return (
    <>
      <PageHead
        title="Connections"
        description="Your Amazon Ads accounts. Evergrant keeps them connected; you are asked only when Amazon wants your permission again."
        actions={connections && !isEmpty ? connectButton('Connect another account', 'secondary') : undefined}
      />
      {connections === undefined ? (
        <Card>
          {list.error ? (
            <ErrorState error={list.error} onRetry={() => void list.refetch()} isRetrying={list.isFetching} />
          ) : (
            <Skeleton lines={6} label="Loading your connections" />
          )}
        </Card>
      ) : isEmpty ? (
        <Card>
          <EmptyState
            title="No account is connected yet"
            action={connectButton('Connect an Amazon account', 'primary')}
          >
            Connect one once, and Evergrant keeps it connected from then on. Amazon shows you what you allow
            before anything happens.
          </EmptyState>
        </Card>
      ) : (
        <>
          <ul className="connection-list" aria-label="Your accounts">
            {connections.map((connection) => (
              <li key={connection.id}>
                <ConnectionCard connection={connection} />
              </li>
            ))}
          </ul>
          {list.hasNextPage && (
            <div className="more">
              <Button isPending={list.isFetchingNextPage} onPress={() => void list.fetchNextPage()}>
                Show more
              </Button>
            </div>
          )}
        </>
      )}
    </>
  );
}
