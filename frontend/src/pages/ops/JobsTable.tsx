import { Link } from '@tanstack/react-router';

import { Table } from '../../components/Table';
import { RelativeTime } from '../../components/Time';
import type { FailedJob } from './shapes';
import { kindWords } from './words';

/** A few failed jobs, each with the way to it. */
export function JobsTable({ jobs, caption }: { jobs: readonly FailedJob[]; caption: string }) {
  return (
    <Table
      caption={caption}
      rows={jobs}
      rowKey={({ id }) => id}
      columns={[
        {
          id: 'job',
          header: 'Job',
          cell: ({ id, kind }) => (
            <Link to="/ops/failed-jobs/$id" params={{ id }}>
              {kindWords(kind)}
            </Link>
          ),
        },
        { id: 'at', header: 'Given up', cell: ({ failed_at }) => <RelativeTime at={failed_at} withLocal /> },
        {
          id: 'error',
          header: 'Error',
          cell: ({ error }) => (
            <span className="cell-error" title={error}>
              {error}
            </span>
          ),
        },
        { id: 'attempts', header: 'Attempts', align: 'end', cell: ({ attempts }) => attempts },
      ]}
    />
  );
}
