import { VerdictBadge } from '../../components/Badge';
import { type Column, Table } from '../../components/Table';
import { RelativeTime } from '../../components/Time';
import { type components } from '../../services/api';
import { verdictWords } from '../../lib/words';

type Attempt = components['schemas']['Attempt'];

const columns: readonly Column<Attempt>[] = [
  {
    id: 'at',
    header: 'When',
    cell: ({ at }) => <RelativeTime at={at} withLocal />,
  },
  {
    id: 'verdict',
    header: 'What came of it',
    cell: ({ verdict }) => <VerdictBadge verdict={verdict} />,
  },
  {
    id: 'why',
    header: 'Why',
    cell: ({ message, verdict, ambiguous }) => (
      <span className="why">
        {verdictWords(verdict).meaning}
        {ambiguous && ' The answer was lost on the way.'}
        {message && <span className="muted small">{message}</span>}
      </span>
    ),
  },
  {
    id: 'answer',
    header: 'Answer',
    cell: ({ status, code }) => (
      <span className="muted small nowrap">{[status, code].filter(Boolean).join(' ') || 'None'}</span>
    ),
  },
  {
    id: 'took',
    header: 'Took',
    align: 'end',
    cell: ({ duration_ms }) => <span className="muted small nowrap">{took(duration_ms)}</span>,
  },
];

function took(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** What happened when the provider was asked, newest first. */
export function AttemptsTable({ attempts, caption }: { attempts: readonly Attempt[]; caption: string }) {
  return (
    <Table
      caption={caption}
      columns={columns}
      rows={attempts}
      rowKey={({ at, verdict, duration_ms }) => `${at} ${verdict} ${duration_ms}`}
    />
  );
}
