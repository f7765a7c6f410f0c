import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';

import { Card } from '../../components/Card';
import { Chart as ChartCard } from '../../components/Chart';
import { SelectField } from '../../components/Field';
import { PageHead } from '../../components/PageHead';
import { EmptyState, ErrorState, Skeleton } from '../../components/States';
import { providerWords } from '../../lib/words';
import { type DataColumn, DataTable } from './DataTable';
import { filled, USAGE_FILTERS } from './filters';
import { type Chart, shortSeconds, type Value } from './series';
import type { DayUsage, SettingSuggestion, UnusedConnections, Usage, UserUsage } from './shapes';
import { Tile } from './Tile';
import {
  callsChart,
  DAYS,
  daysOf,
  dayWords,
  failureShare,
  forcedChart,
  leftChart,
  rankOf,
  RANKS,
  refreshesChart,
  sumUp,
  usageQuery,
} from './usage';
import { many, number } from './words';

const route = getRouteApi('/signed-in/ops/usage');

/** What is done for whom, and what that suggests. */
export function UsagePage() {
  const search = route.useSearch();
  const { data, error, refetch, isFetching, isPlaceholderData } = useQuery(usageQuery(search));
  const days = daysOf(search.days);
  return (
    <>
      <PageHead
        title="Usage"
        description="What was done for whom, by day in UTC. Processes write what they counted once a minute."
      />
      <div className="stack">
        <div className="charts-head">
          <h2>{search.user === undefined ? 'Everybody' : `Only ${search.user}`}</h2>
          {search.user !== undefined && (
            <Link
              to="/ops/usage"
              search={(present) => filled(USAGE_FILTERS, { ...present, user: undefined })}
              className="nowrap"
            >
              Show everybody
            </Link>
          )}
          <nav className="segments" aria-label="How far back">
            {Object.entries(DAYS).map(([each, label]) => (
              <Link
                key={each}
                to="/ops/usage"
                search={(present) =>
                  filled(USAGE_FILTERS, { ...present, days: each === '7' ? undefined : each })
                }
                resetScroll={false}
                activeProps={{}}
                aria-current={each === days ? 'page' : undefined}
              >
                {label}
              </Link>
            ))}
          </nav>
        </div>
        {data ? (
          <Found usage={data} isStale={isPlaceholderData} />
        ) : (
          <Card>
            {error ? (
              <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
            ) : (
              <Skeleton lines={6} label="Loading the usage" />
            )}
          </Card>
        )}
      </div>
    </>
  );
}

function Found({ usage, isStale }: { usage: Usage; isStale: boolean }) {
  const { user } = route.useSearch();
  const isAll = user === undefined;
  if (usage.days.length === 0) {
    return (
      <>
        <Card>
          <EmptyState icon="chart" title="Nothing was counted in this time">
            {isAll
              ? 'The first numbers are here a minute after the first refresh.'
              : 'Nothing was done for this user. The name has to be exact.'}
          </EmptyState>
        </Card>
        {isAll && <Advice usage={usage} />}
      </>
    );
  }
  return (
    <>
      <Tiles usage={usage} />
      {isAll && <Advice usage={usage} />}
      <Charts usage={usage} />
      {isAll && <Users usage={usage} isStale={isStale} />}
      <Card
        flush
        title="Day by day"
        description="Newest day first, by provider app. Forced are those of both that somebody waited for."
      >
        {/* What scrolls has to be reachable by keyboard. */}
        {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <div className="tall-table" role="group" aria-label="Day by day in numbers" tabIndex={0}>
          <DataTable
            caption="Usage by day and provider app"
            columns={dayColumns}
            rows={[...usage.days].reverse()}
            rowKey={({ day, provider }) => `${day} ${provider}`}
            isStale={isStale}
          />
        </div>
      </Card>
    </>
  );
}

function Tiles({ usage }: { usage: Usage }) {
  const { refreshes, failures, forced, calls, left } = sumUp(usage.days);
  const share = failureShare({ refreshes, failures });
  return (
    <ul className="tiles" aria-label="Numbers">
      <Tile label="Refreshes" value={refreshes} note="Brought a new token" />
      <Tile
        label="Failures"
        tone={failures === 0 ? 'good' : 'warn'}
        value={failures}
        {...(share === undefined ? {} : { note: `${share} of all` })}
      />
      <Tile label="Forced" value={forced} note="Somebody waited for these" />
      <Tile label="Calls" value={calls} note="Tokens given out, and calls made" />
      <Tile
        label="Time left at refresh"
        value={left ? shortSeconds(left.mean_seconds) : 'None'}
        note={left ? `On average; the least ${shortSeconds(left.least_seconds)}` : 'No scheduled refresh'}
      />
      <Tile
        label="Ended before"
        tone={!left || left.ended === 0 ? 'good' : 'bad'}
        value={left?.ended ?? 0}
        note="Tokens that ended unrefreshed"
      />
    </ul>
  );
}

function Advice({ usage: { suggestions, unused } }: { usage: Usage }) {
  return (
    <div className="charts">
      <Card title="Settings that would serve better">
        {suggestions.length === 0 ? (
          <p className="muted">None: the present ones suit what is seen.</p>
        ) : (
          <ul className="advice">
            {suggestions.map((suggestion) => (
              <Suggestion key={suggestion.setting} suggestion={suggestion} />
            ))}
          </ul>
        )}
      </Card>
      <Card title="Connections that nobody uses">
        <Unused unused={unused} />
      </Card>
    </div>
  );
}

function Suggestion({ suggestion: { setting, now, better, why } }: { suggestion: SettingSuggestion }) {
  return (
    <li>
      <p>
        <code className="breaks">
          {setting} = {better}
        </code>{' '}
        <span className="muted nowrap">now {number(now)}</span>
      </p>
      <p className="small">{sentenceOf(why)}</p>
    </li>
  );
}

/** What a program told within a sentence, as one of its own. */
export function sentenceOf(why: string): string {
  const text = why.trim();
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

function Unused({ unused: { days, connections, of, rest } }: { unused: UnusedConnections }) {
  return (
    <div className="stack">
      <p>
        <strong>{number(connections)}</strong> of {many(of, 'connection')} that are refreshed: nobody has used
        them for {many(days, 'day')}.
      </p>
      <p className="small muted">
        {rest ? (
          'They rest: they are not refreshed until somebody asks for a token, who then waits for one refresh.'
        ) : (
          <>
            They are refreshed all the same. With <code>usage.rest_after_days</code> they would rest until
            somebody uses them again; set it only where every use passes through Evergrant.
          </>
        )}
      </p>
    </div>
  );
}

const count = (value: Value) => (value === null ? 'Not known' : number(value));
const seconds = (value: Value) => (value === null ? 'None' : shortSeconds(value));

function Charts({ usage }: { usage: Usage }) {
  return (
    <div className="charts">
      <Daily
        title="Refreshes"
        description="Refreshes each day, by what came of them."
        kind="stack"
        unit="refreshes"
        format={count}
        chart={refreshesChart(usage)}
        colours={[1, 4]}
      />
      <Daily
        title="Calls"
        description="Tokens given out and calls made with them each day, by provider app."
        kind="stack"
        unit="calls"
        format={count}
        chart={callsChart(usage)}
        colours={[2, 3, 5, 1, 4, 6]}
        empty="Nobody asked for a token in this time."
      />
      <Daily
        title="Forced refreshes"
        description="Refreshes each day that somebody waited for."
        kind="bars"
        unit="refreshes"
        format={count}
        chart={forcedChart(usage)}
        colours={[5]}
        empty="Nobody forced a refresh in this time."
      />
      <Daily
        title="Time left at refresh"
        description="What was left of tokens when their scheduled refresh began. Below zero they had ended."
        kind="line"
        unit="seconds"
        format={seconds}
        chart={leftChart(usage)}
        colours={[1, 3]}
        empty="No token was refreshed by schedule in this time."
      />
    </div>
  );
}

interface DailyProps {
  title: string;
  description: string;
  kind: 'stack' | 'line' | 'bars';
  unit: string;
  format: (value: Value) => string;
  chart: Chart;
  colours: readonly number[];
  empty?: string;
}

function Daily({ chart: { x, plots, steps = [] }, colours, ...rest }: DailyProps) {
  return (
    <ChartCard
      {...rest}
      stepHeader="Day"
      x={x}
      steps={steps}
      plots={plots.map((plot, index) => ({ ...plot, colour: colours[index] ?? 6 }))}
      stepName={(index) => steps[index] ?? ''}
    />
  );
}

const counts: readonly DataColumn<UserUsage | DayUsage>[] = [
  { id: 'refreshes', header: 'Refreshes', align: 'end', cell: ({ refreshes }) => number(refreshes) },
  { id: 'failures', header: 'Failures', align: 'end', cell: ({ failures }) => number(failures) },
  { id: 'forced', header: 'Forced', align: 'end', cell: ({ forced }) => number(forced) },
  { id: 'calls', header: 'Calls', align: 'end', cell: ({ calls }) => number(calls) },
  {
    id: 'mean',
    header: 'Left, average',
    align: 'end',
    cell: ({ left }) => <span className="nowrap">{left ? shortSeconds(left.mean_seconds) : 'None'}</span>,
  },
  {
    id: 'least',
    header: 'Left, least',
    align: 'end',
    cell: ({ left }) => <span className="nowrap">{left ? shortSeconds(left.least_seconds) : 'None'}</span>,
  },
  { id: 'ended', header: 'Ended before', align: 'end', cell: ({ left }) => number(left?.ended ?? 0) },
];

const dayColumns: readonly DataColumn<DayUsage>[] = [
  { id: 'day', header: 'Day', cell: ({ day }) => <time dateTime={day}>{dayWords(day)}</time> },
  { id: 'provider', header: 'Provider app', cell: ({ provider }) => providerWords(provider) },
  { id: 'users', header: 'Users', align: 'end', cell: ({ users }) => number(users) },
  ...counts,
];

const userColumns: readonly DataColumn<UserUsage>[] = [
  {
    id: 'user',
    header: 'User',
    cell: ({ user_id: user }) => (
      <Link
        to="/ops/usage"
        search={(others) => ({ ...others, user })}
        title={user}
        aria-label={`Usage of ${user}`}
        className="nowrap"
      >
        {user.length > 24 ? `${user.slice(0, 8)}…` : user}
      </Link>
    ),
  },
  { id: 'provider', header: 'Provider app', cell: ({ provider }) => providerWords(provider) },
  ...counts,
  {
    id: 'connections',
    header: 'Connections',
    isSilent: true,
    align: 'end',
    cell: ({ user_id: user }) => (
      <Link to="/ops/connections" search={{ user }} aria-label={`Connections of ${user}`}>
        Connections
      </Link>
    ),
  },
];

function Users({ usage: { users }, isStale }: { usage: Usage; isStale: boolean }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const rank = rankOf(search.by);
  return (
    <Card
      flush
      title="Users with the most"
      description="Each at each provider app."
      actions={
        <div className="rank">
          <SelectField
            label="Ranked by"
            value={rank}
            onChange={({ target }) => {
              const by = target.value === 'calls' ? undefined : target.value;
              void navigate({
                search: (present) => filled(USAGE_FILTERS, { ...present, by }),
                resetScroll: false,
              });
            }}
          >
            {Object.entries(RANKS).map(([each, label]) => (
              <option key={each} value={each}>
                {label}
              </option>
            ))}
          </SelectField>
        </div>
      }
    >
      {users.length === 0 ? (
        <p className="card-body muted">Nobody has any of these in this time: rank by something else.</p>
      ) : (
        <DataTable
          caption={`Users by ${RANKS[rank].toLowerCase()}`}
          columns={userColumns}
          rows={users}
          rowKey={({ user_id, provider }) => `${user_id} ${provider}`}
          isStale={isStale}
        />
      )}
    </Card>
  );
}
