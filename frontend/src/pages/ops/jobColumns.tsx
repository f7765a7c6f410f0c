import { Link } from '@tanstack/react-router';

import { Badge, VerdictBadge } from '../../components/Badge';
import { Button } from '../../components/Button';
import { RelativeTime } from '../../components/Time';
import { capital, providerWords } from '../../lib/words';
import type { DataColumn } from './DataTable';
import type { Deed } from './queries';
import type { FailedJob } from './shapes';
import { jobStateWords, kindWords } from './words';

/** The columns of the list of failed jobs. */
export function jobColumns(onDeed: (deed: Deed, job: FailedJob) => void): DataColumn<FailedJob>[] {
  return [
    {
      id: 'job',
      header: 'Job',
      cell: ({ id, kind, provider }) => (
        <span className="cell-name">
          <Link to="/ops/failed-jobs/$id" params={{ id }} className="nowrap">
            {kindWords(kind)}
          </Link>
          <span className="muted small">{provider ? providerWords(provider) : 'Provider app not known'}</span>
        </span>
      ),
    },
    {
      id: 'error',
      header: 'Error',
      cell: ({ error }) => (
        <span className="cell-error" title={error}>
          {capital(error) || 'None was told'}
        </span>
      ),
    },
    {
      id: 'verdict',
      header: 'Last answer',
      cell: ({ last_attempt: last, attempts }) => (
        <span className="cell-name">
          <span>{last ? <VerdictBadge verdict={last.verdict} /> : 'None'}</span>
          <span className="muted small nowrap">
            {[last?.status, last?.code, `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`]
              .filter(Boolean)
              .join(' · ')}
          </span>
        </span>
      ),
    },
    {
      id: 'connection',
      header: 'Connection',
      cell: ({ connection_id: id }) =>
        !id ? (
          <span className="muted">Not known</span>
        ) : (
          <Link to="/ops/connections/$id" params={{ id }} className="nowrap" title={id}>
            {/* Ids begin with their time, so that those made together differ only at their ends. */}
            <code>…{id.slice(-8)}</code>
          </Link>
        ),
    },
    { id: 'at', header: 'Given up', cell: ({ failed_at }) => <RelativeTime at={failed_at} withLocal /> },
    {
      id: 'state',
      header: 'State',
      cell: ({ state }) => {
        const { label, tone, meaning } = jobStateWords(state);
        return (
          <Badge tone={tone} title={meaning}>
            {label}
          </Badge>
        );
      },
    },
    {
      id: 'deeds',
      header: 'What to do',
      isSilent: true,
      align: 'end',
      cell: (job) =>
        job.state === 'open' && (
          <span className="row-actions">
            <Button
              size="sm"
              onPress={() => {
                onDeed('replay', job);
              }}
            >
              Replay
            </Button>
            <Button
              size="sm"
              variant="quiet"
              onPress={() => {
                onDeed('discard', job);
              }}
            >
              Discard
            </Button>
          </span>
        ),
    },
  ];
}
