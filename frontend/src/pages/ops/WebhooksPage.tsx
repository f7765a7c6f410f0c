import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { Badge } from '../../components/Badge';
import { Button } from '../../components/Button';
import { Card } from '../../components/Card';
import { PageHead } from '../../components/PageHead';
import { EmptyState, ErrorState, Skeleton } from '../../components/States';
import { RelativeTime } from '../../components/Time';
import { type DataColumn, DataTable } from './DataTable';
import type { Endpoint } from './shapes';
import { CreateDialog } from './WebhookDialogs';
import { endpointsQuery, endpointWords, toldOf } from './webhooks';

const columns: readonly DataColumn<Endpoint>[] = [
  {
    id: 'url',
    header: 'Receiver',
    cell: ({ id, url, description }) => (
      <span className="cell-name">
        <Link to="/ops/webhooks/$id" params={{ id }} className="truncate" title={url}>
          {url}
        </Link>
        {description !== '' && <span className="muted small">{description}</span>}
      </span>
    ),
  },
  {
    id: 'state',
    header: 'State',
    cell: (endpoint) => {
      const { label, tone, meaning } = endpointWords(endpoint);
      return (
        <Badge tone={tone} title={meaning}>
          {label}
        </Badge>
      );
    },
  },
  { id: 'events', header: 'Told of', cell: ({ events }) => toldOf(events) },
  {
    id: 'failing',
    header: 'Failing since',
    cell: ({ failing_since }) => <RelativeTime at={failing_since} none="Not failing" withLocal />,
  },
  { id: 'made', header: 'Made', cell: ({ created_at }) => <RelativeTime at={created_at} /> },
];

/** Who is told of what happens. */
export function WebhooksPage() {
  const { data, error, refetch, isFetching } = useQuery(endpointsQuery);
  const [isMaking, make] = useState(false);
  const button = (
    <Button
      variant="primary"
      icon="plus"
      onPress={() => {
        make(true);
      }}
    >
      New webhook
    </Button>
  );
  const isEmpty = data?.length === 0;
  return (
    <>
      <PageHead
        title="Webhooks"
        description="Other systems that are told what happens, signed after Standard Webhooks: each change once, and again until they took it."
        actions={!isEmpty && data !== undefined && button}
      />
      <Card flush={data !== undefined || error !== null}>
        {data === undefined ? (
          error ? (
            <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
          ) : (
            <Skeleton lines={5} label="Loading the webhooks" />
          )
        ) : isEmpty ? (
          <EmptyState icon="send" title="Nobody is told yet" action={button}>
            A webhook tells a chat, a pager or another service that a grant has ended, that a connection
            fails, or that a provider refuses your app, before users notice.
          </EmptyState>
        ) : (
          <DataTable caption="Webhooks" columns={columns} rows={data} rowKey={({ id }) => id} />
        )}
      </Card>
      {isMaking && (
        <CreateDialog
          onClose={() => {
            make(false);
          }}
        />
      )}
    </>
  );
}
