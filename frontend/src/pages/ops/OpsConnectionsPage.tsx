import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';

import { StateBadge } from '../../components/Badge';
import { Button } from '../../components/Button';
import { Card } from '../../components/Card';
import { SelectField } from '../../components/Field';
import { PageHead } from '../../components/PageHead';
import { Pagination } from '../../components/Pagination';
import { EmptyState, ErrorState, Skeleton } from '../../components/States';
import { Countdown } from '../../components/Time';
import { accountWords, providerWords, REASONS, STATES } from '../../lib/words';
import { type DataColumn, DataTable } from './DataTable';
import { CONNECTION_FILTERS, filled, type RefreshFilter, refreshFilter } from './filters';
import { FilterForm, FilterInput } from './FilterForm';
import { ProviderSelect } from './ProviderSelect';
import { allConnectionsQuery } from './queries';
import { RefreshDialog } from './RefreshDialog';
import type { Connection } from './shapes';
import { usePages } from './usePages';
import { many, reasonLabel } from './words';

const route = getRouteApi('/signed-in/ops/connections');

const columns: readonly DataColumn<Connection>[] = [
  {
    id: 'account',
    header: 'Account',
    cell: (connection) => {
      const { name, detail } = accountWords(connection);
      return (
        <span className="cell-name">
          <Link to="/ops/connections/$id" params={{ id: connection.id }} className="truncate" title={name}>
            {name}
          </Link>
          {detail !== undefined && (
            <span className="truncate muted small" title={detail}>
              {detail}
            </span>
          )}
        </span>
      );
    },
  },
  {
    id: 'user',
    header: 'User',
    // The ids of the users of a page of its own say nothing to anybody; their beginnings tell them apart.
    cell: ({ user }) => (
      <span title={user} className="nowrap">
        {user.length > 24 ? `${user.slice(0, 8)}…` : user}
      </span>
    ),
  },
  { id: 'provider', header: 'Provider app', cell: ({ provider }) => providerWords(provider) },
  {
    id: 'state',
    header: 'State',
    cell: ({ state, reason }) => (
      <span className="cell-name">
        <span>
          <StateBadge state={state} />
        </span>
        {reason && <span className="muted small">{reasonLabel(reason)}</span>}
      </span>
    ),
  },
  {
    id: 'expires',
    header: 'Token ends',
    cell: ({ expires_at }) => (
      <span className="nowrap">
        <Countdown at={expires_at} none="No token" />
      </span>
    ),
  },
  {
    id: 'refresh',
    header: 'Next refresh',
    cell: ({ refresh_at }) => (
      <span className="nowrap">
        <Countdown at={refresh_at} none="None" past="due" />
      </span>
    ),
  },
  {
    id: 'failures',
    header: 'Failed in a row',
    align: 'end',
    cell: ({ failures }) => failures,
  },
];

/** Every connection of everybody. The server searches and pages: there may be a million. */
export function OpsConnectionsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, refetch, isFetching, isPlaceholderData } = useQuery(allConnectionsQuery(search));
  const { onPrevious, onNext } = usePages(search.after, (after) => {
    void navigate({ search: filled([...CONNECTION_FILTERS, 'after'], { ...search, after }) });
  });
  const filters = filled(CONNECTION_FILTERS, search);
  const isFiltered = Object.keys(filters).length > 0;
  const [refreshing, refresh] = useState<RefreshFilter>();
  const clear = () => {
    void navigate({ search: {} });
  };
  return (
    <>
      <PageHead title="Connections" description="Of all users. A row leads to its whole story." />
      <Card flush>
        <FilterForm
          label="Filter connections"
          shown={JSON.stringify(filters)}
          onChange={(fields) => {
            void navigate({ search: filled(CONNECTION_FILTERS, fields) });
          }}
          onClear={isFiltered ? clear : undefined}
        >
          <FilterInput
            isWide
            type="search"
            name="text"
            label="Search"
            value={search.text}
            placeholder="Begin of a user, account or name; or an id"
          />
          <SelectField label="State" name="state" defaultValue={search.state ?? ''}>
            <option value="">Any</option>
            {Object.entries(STATES).map(([state, { label }]) => (
              <option key={state} value={state}>
                {label}
              </option>
            ))}
            {search.state !== undefined && !Object.hasOwn(STATES, search.state) && (
              <option value={search.state}>{search.state}</option>
            )}
          </SelectField>
          <SelectField label="Reason" name="reason" defaultValue={search.reason ?? ''}>
            <option value="">Any</option>
            {Object.keys(REASONS).map((reason) => (
              <option key={reason} value={reason}>
                {reasonLabel(reason)}
              </option>
            ))}
          </SelectField>
          <ProviderSelect value={search.provider} />
          <SelectField label="Token" name="expired" defaultValue={search.expired ?? ''}>
            <option value="">Any</option>
            <option value="true">Has ended</option>
          </SelectField>
          <input type="hidden" name="user" value={search.user ?? ''} />
        </FilterForm>
        {data === undefined ? (
          error ? (
            <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
          ) : (
            <div className="card-body">
              <Skeleton lines={8} label="Loading connections" />
            </div>
          )
        ) : data.items.length === 0 ? (
          <EmptyState
            icon="search"
            title={isFiltered ? 'No connection matches' : 'There is no connection yet'}
            action={isFiltered && <Button onPress={clear}>Clear filters</Button>}
          >
            {isFiltered
              ? 'The search looks at the beginning of users, accounts and names, whatever the case.'
              : 'The first one is here as soon as a user has connected an account.'}
          </EmptyState>
        ) : (
          <>
            <div className="bulk">
              <span>
                {isFiltered
                  ? 'All that match can be refreshed at once, on this page and the next ones.'
                  : 'All connections can be refreshed at once; a filter narrows them.'}
              </span>
              <div>
                <Button
                  size="sm"
                  icon="refresh"
                  onPress={() => {
                    refresh(refreshFilter(search));
                  }}
                >
                  Refresh all…
                </Button>
              </div>
            </div>
            <DataTable
              caption="Connections"
              columns={columns}
              rows={data.items}
              rowKey={({ id }) => id}
              isStale={isPlaceholderData}
            />
            <Pagination
              summary={`${many(data.items.length, 'connection')} on this page${data.next ? '; there are more' : ''}`}
              onPrevious={onPrevious}
              onNext={onNext(data.next)}
              isPending={isPlaceholderData}
            />
          </>
        )}
      </Card>
      {refreshing && (
        <RefreshDialog
          filter={refreshing}
          onClose={() => {
            refresh(undefined);
          }}
        />
      )}
    </>
  );
}
