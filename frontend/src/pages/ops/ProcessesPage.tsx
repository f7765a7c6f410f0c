import { useQuery } from '@tanstack/react-query';

import { Badge } from '../../components/Badge';
import { Banner } from '../../components/Banner';
import { Card } from '../../components/Card';
import { CopyId } from '../../components/CopyId';
import { PageHead } from '../../components/PageHead';
import { EmptyState, ErrorState, Skeleton } from '../../components/States';
import { Countdown } from '../../components/Time';
import { type DataColumn, DataTable } from './DataTable';
import { DrainButton } from './DrainButton';
import { keyTrouble } from './keys';
import { processesQuery } from './queries';
import type { Process } from './shapes';
import { roleWords } from './words';

const columns: readonly DataColumn<Process>[] = [
  {
    id: 'role',
    header: 'What it runs',
    cell: ({ role, leads, is_this, drain }) => (
      <span className="app-head">
        <strong>{roleWords(role)}</strong>
        {leads === true && (
          <Badge tone="info" title="It finds the tokens that are about to end and publishes jobs.">
            Leads
          </Badge>
        )}
        {leads === null && (
          <Badge tone="neutral" title="Several could lead; one of them does.">
            May lead
          </Badge>
        )}
        {drain && (
          <Badge tone={drain.done_at ? 'info' : 'warn'} title={`${drain.by}: ${drain.why}`}>
            {drain.done_at ? 'Drained' : 'Draining'}
          </Badge>
        )}
        {is_this && (
          <Badge tone="neutral" title="This page comes from it.">
            Answers you
          </Badge>
        )}
      </span>
    ),
  },
  { id: 'id', header: 'Process', cell: ({ process }) => <CopyId id={process} name="process id" /> },
  { id: 'seen', header: 'Heard of', cell: ({ seen_at }) => <Countdown at={seen_at} past="just now" /> },
  {
    id: 'primary',
    header: 'Encrypts with',
    cell: ({ primary_key }) => <CopyId id={primary_key} name="key fingerprint" />,
  },
  {
    id: 'keys',
    header: 'Decrypts with',
    cell: ({ keys }) => (
      <span className="app-head">
        {keys.map((key) => (
          <CopyId key={key} id={key} name="key fingerprint" />
        ))}
      </span>
    ),
  },
  {
    id: 'deed',
    header: 'What to do',
    isSilent: true,
    align: 'end',
    cell: (process) => process.runs_workers && <DrainButton process={process} />,
  },
];

/** What runs. */
export function ProcessesPage() {
  const { data, error, refetch, isFetching } = useQuery(processesQuery);
  const trouble = data && keyTrouble(data);
  return (
    <>
      <PageHead
        title="Processes"
        description="Each process tells every few seconds that it lives. One that was not heard of for 45 seconds is gone from this list."
      />
      <div className="stack">
        {trouble && (
          <Banner tone={trouble.tone} title={trouble.title}>
            {trouble.text}
          </Banner>
        )}
        <Card flush={data !== undefined || error !== null}>
          {data === undefined ? (
            error ? (
              <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
            ) : (
              <Skeleton lines={5} label="Loading the processes" />
            )
          ) : data.length === 0 ? (
            <EmptyState icon="monitor" title="No process is heard of">
              The one that answers you will be here within seconds.
            </EmptyState>
          ) : (
            <DataTable
              caption="Live processes"
              columns={columns}
              rows={data}
              rowKey={({ process }) => process}
            />
          )}
        </Card>
      </div>
    </>
  );
}
