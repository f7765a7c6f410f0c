import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo } from 'react';

import { Badge } from '../../components/Badge';
import { Button } from '../../components/Button';
import { Card } from '../../components/Card';
import { CopyId } from '../../components/CopyId';
import { SelectField } from '../../components/Field';
import { Pagination } from '../../components/Pagination';
import { EmptyState, ErrorState, Skeleton } from '../../components/States';
import { Countdown, RelativeTime } from '../../components/Time';
import { type DataColumn, DataTable } from './DataTable';
import { FilterForm } from './FilterForm';
import { DELIVERY_FILTERS, filled } from './filters';
import type { Delivery, Endpoint } from './shapes';
import { usePages } from './usePages';
import { deliveriesQuery, DELIVERY_STATES, eventLabel, EVENT_TYPES, tryLine } from './webhooks';
import { many } from './words';

const route = getRouteApi('/signed-in/ops/webhooks/$id');

function columnsOf(isEnabled: boolean, onReplay: (message: string) => void): readonly DataColumn<Delivery>[] {
  return [
    { id: 'at', header: 'When', cell: ({ at }) => <RelativeTime at={at} withLocal /> },
    {
      id: 'type',
      header: 'What it tells',
      cell: ({ type, message_id }) => (
        <span className="cell-name">
          <span title={type}>{eventLabel(type)}</span>
          <span>
            <CopyId id={message_id} name="message id" />
          </span>
        </span>
      ),
    },
    {
      id: 'state',
      header: 'State',
      cell: ({ state, attempts, due_at }) => {
        const { label, tone, meaning } = DELIVERY_STATES[state];
        return (
          <span className="cell-name">
            <span>
              <Badge tone={tone} title={meaning}>
                {label}
              </Badge>
            </span>
            <span className="muted small">
              {attempts === 0 ? 'Not tried yet' : many(attempts, 'try', 'tries')}
              {due_at && (
                <>
                  , next <Countdown at={due_at} past="any moment" />
                </>
              )}
            </span>
          </span>
        );
      },
    },
    {
      id: 'last',
      header: 'Last answer',
      cell: ({ last }) =>
        last ? (
          <span className="cell-error" title={tryLine(last)}>
            {tryLine(last)}
          </span>
        ) : (
          <span className="muted">None yet</span>
        ),
    },
    {
      id: 'deed',
      header: 'What to do',
      isSilent: true,
      align: 'end',
      cell: ({ message_id, type, at }) => (
        <Button
          size="sm"
          icon="refresh"
          isDisabled={!isEnabled}
          onPress={() => {
            onReplay(message_id);
          }}
        >
          Replay
          <span className="visually-hidden">
            {' '}
            {eventLabel(type)} of {at}
          </span>
        </Button>
      ),
    },
  ];
}

interface DeliveriesProps {
  endpoint: Endpoint;
  /** Of one message, or of all that was missed. */
  onReplay: (message: string | undefined) => void;
}

/** What a receiver was told and how that went. */
export function Deliveries({ endpoint: { id, state }, onReplay }: DeliveriesProps) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, refetch, isFetching, isPlaceholderData } = useQuery(deliveriesQuery(id, search));
  const pages = usePages(search.after, (after) => {
    void navigate({
      search: filled([...DELIVERY_FILTERS, 'after'], { ...search, after }),
      resetScroll: false,
    });
  });
  const filters = filled(DELIVERY_FILTERS, search);
  const isFiltered = Object.keys(filters).length > 0;
  const isEnabled = state === 'enabled';
  const clear = () => {
    void navigate({ search: {}, resetScroll: false });
  };
  const columns = useMemo(() => columnsOf(isEnabled, onReplay), [isEnabled, onReplay]);
  return (
    <Card
      flush
      title="Deliveries"
      description={
        isEnabled
          ? 'Newest message first, as long as messages are kept. Tests are not kept.'
          : 'Enable the webhook to replay any of these.'
      }
      actions={
        <Button
          size="sm"
          icon="refresh"
          isDisabled={!isEnabled}
          onPress={() => {
            onReplay(undefined);
          }}
        >
          Replay what it missed…
        </Button>
      }
    >
      <FilterForm
        label="Filter deliveries"
        shown={JSON.stringify(filters)}
        onChange={(fields) => {
          void navigate({ search: filled(DELIVERY_FILTERS, fields), resetScroll: false });
        }}
        onClear={isFiltered ? clear : undefined}
      >
        <SelectField label="State" name="state" defaultValue={search.state ?? ''}>
          <option value="">Any</option>
          {Object.entries(DELIVERY_STATES).map(([each, { label }]) => (
            <option key={each} value={each}>
              {label}
            </option>
          ))}
        </SelectField>
        <SelectField label="What it tells" name="type" defaultValue={search.type ?? ''}>
          <option value="">Any</option>
          {EVENT_TYPES.map((type) => (
            <option key={type} value={type}>
              {eventLabel(type)}
            </option>
          ))}
        </SelectField>
      </FilterForm>
      {data === undefined ? (
        error ? (
          <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
        ) : (
          <div className="card-body">
            <Skeleton lines={5} label="Loading the deliveries" />
          </div>
        )
      ) : data.items.length === 0 ? (
        <EmptyState
          icon={isFiltered ? 'search' : 'send'}
          title={isFiltered ? 'No delivery matches' : 'It was told nothing yet'}
          action={isFiltered && <Button onPress={clear}>Clear filters</Button>}
        >
          {isFiltered
            ? 'Others may: take a filter away.'
            : 'The first message comes with the next change that it is told of. A test can be sent at any time.'}
        </EmptyState>
      ) : (
        <>
          <DataTable
            caption="Deliveries, newest message first"
            columns={columns}
            rows={data.items}
            rowKey={({ message_id }) => message_id}
            isStale={isPlaceholderData}
          />
          <Pagination
            summary={`${many(data.items.length, 'delivery', 'deliveries')} on this page${data.next ? '; there are more' : ''}`}
            onPrevious={pages.onPrevious}
            onNext={pages.onNext(data.next)}
            isPending={isPlaceholderData}
          />
        </>
      )}
    </Card>
  );
}
