import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';

import { Badge } from '../../components/Badge';
import { Card } from '../../components/Card';
import { PageHead } from '../../components/PageHead';
import { Pagination } from '../../components/Pagination';
import { EmptyState, ErrorState, Skeleton } from '../../components/States';
import { RelativeTime } from '../../components/Time';
import { providerWords, sentence } from '../../lib/words';
import { pausesQuery, targetOf } from './controls';
import { type DataColumn, DataTable } from './DataTable';
import { PauseButton } from './PauseButton';
import type { Pause, Pauses } from './shapes';
import { usePages } from './usePages';
import { kindWords, many } from './words';

const route = getRouteApi('/signed-in/ops/pauses');

const KINDS: Record<string, string> = { queue: 'Queue', app: 'Provider app', connection: 'Connection' };

const columns: readonly DataColumn<Pause>[] = [
  {
    id: 'what',
    header: 'What',
    cell: ({ kind, name }) => (
      <span className="cell-name">
        <span>
          <What kind={kind} name={name} />
        </span>
        <span className="muted small">{KINDS[kind] ?? sentence(kind)}</span>
      </span>
    ),
  },
  { id: 'why', header: 'Why', cell: ({ why }) => why },
  { id: 'by', header: 'Who', cell: ({ by }) => by },
  { id: 'at', header: 'Since', cell: ({ at }) => <RelativeTime at={at} withLocal /> },
  {
    id: 'deed',
    header: 'What to do',
    isSilent: true,
    align: 'end',
    cell: (pause) => {
      const target = targetOf(pause);
      return target && <PauseButton target={target} paused={pause} size="sm" />;
    },
  },
];

function What({ kind, name }: { kind: string; name: string }) {
  if (kind === 'connection') {
    return (
      <Link to="/ops/connections/$id" params={{ id: name }} title={name} className="nowrap">
        <code>…{name.slice(-8)}</code>
      </Link>
    );
  }
  return <strong>{kind === 'queue' ? kindWords(name) : providerWords(name)}</strong>;
}

/** Everything that operators hold back. */
export function PausesPage() {
  const { after } = route.useSearch();
  const { data, error, refetch, isFetching, isPlaceholderData } = useQuery(pausesQuery(after));
  return (
    <>
      <PageHead
        title="Pauses"
        description="What is not refreshed because an operator said so, in the whole cluster and through every restart."
      />
      {data ? (
        <All pauses={data} isStale={isPlaceholderData} />
      ) : (
        <Card>
          {error ? (
            <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
          ) : (
            <Skeleton lines={5} label="Loading what is paused" />
          )}
        </Card>
      )}
    </>
  );
}

function All({ pauses, isStale }: { pauses: Pauses; isStale: boolean }) {
  const { after } = route.useSearch();
  const navigate = route.useNavigate();
  const { onPrevious, onNext } = usePages(after, (next) => {
    void navigate({ search: next === undefined ? {} : { after: next } });
  });
  const { items, connections, connections_total: total, next } = pauses;
  if (items.length === 0 && total === 0) {
    return (
      <Card>
        <EmptyState icon="check" title="Nothing is paused">
          Queues and provider apps are paused on the overview, connections on their own pages.
        </EmptyState>
      </Card>
    );
  }
  return (
    <div className="stack">
      {items.length > 0 && (
        <Card flush title="Queues and provider apps">
          <DataTable
            caption="Paused queues and provider apps"
            columns={columns}
            rows={items}
            rowKey={({ kind, name }) => `${kind} ${name}`}
          />
        </Card>
      )}
      {total > 0 && (
        <Card flush title="Connections" actions={<Badge tone="warn">{many(total, 'connection')}</Badge>}>
          <DataTable
            caption="Paused connections"
            columns={columns}
            rows={connections}
            rowKey={({ name }) => name}
            isStale={isStale}
          />
          {(typeof next === 'string' || after !== undefined) && (
            <Pagination
              summary={`${many(connections.length, 'connection')} on this page${next ? '; there are more' : ''}`}
              onPrevious={onPrevious}
              onNext={onNext(next)}
              isPending={isStale}
            />
          )}
        </Card>
      )}
    </div>
  );
}
