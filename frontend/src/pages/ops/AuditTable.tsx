import { Table } from '../../components/Table';
import { RelativeTime } from '../../components/Time';
import type { AuditEntry } from './shapes';
import { actionWords, outcomeWords } from './words';

/** What operators did, newest first. */
export function AuditTable({ entries, caption }: { entries: readonly AuditEntry[]; caption: string }) {
  return (
    <Table
      caption={caption}
      rows={entries}
      rowKey={({ id }) => id}
      columns={[
        { id: 'at', header: 'When', cell: ({ at }) => <RelativeTime at={at} withLocal /> },
        { id: 'actor', header: 'Who', cell: ({ actor }) => actor },
        { id: 'action', header: 'What', cell: ({ action }) => actionWords(action) },
        {
          id: 'reason',
          header: 'Why',
          cell: ({ reason }) => reason || <span className="muted">No reason given</span>,
        },
        { id: 'outcome', header: 'What came of it', cell: ({ outcome }) => outcomeWords(outcome).label },
      ]}
    />
  );
}
