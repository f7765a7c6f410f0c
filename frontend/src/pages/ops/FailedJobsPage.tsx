import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import { Button } from '../../components/Button';
import { Card } from '../../components/Card';
import { PageHead } from '../../components/PageHead';
import { Pagination } from '../../components/Pagination';
import { EmptyState, ErrorState, Skeleton } from '../../components/States';
import { DataTable } from './DataTable';
import { jobColumns } from './jobColumns';
import { filled, isNarrowed, JOB_FILTERS, jobFilter, type JobSearch } from './filters';
import { JobFilters } from './JobFilters';
import { ManyDialog, type Which } from './ManyDialog';
import { OneDialog } from './OneDialog';
import { type Deed, failedJobsQuery } from './queries';
import type { FailedJob, FailedJobPage } from './shapes';
import { usePages } from './usePages';
import { kindWords, many, number } from './words';

const route = getRouteApi('/signed-in/ops/failed-jobs');

/** What was given up on, to be looked at and dealt with. */
export function FailedJobsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, refetch, isFetching, isPlaceholderData } = useQuery(failedJobsQuery(search));
  const pages = usePages(search.after, (after) => {
    void navigate({ search: filled([...JOB_FILTERS, 'after'], { ...search, after }) });
  });
  const filters = filled(JOB_FILTERS, search);
  const clear = () => {
    void navigate({ search: {} });
  };
  return (
    <>
      <PageHead
        title="Failed jobs"
        description="Refreshes that were given up on after all their attempts. Their connections are tried again by themselves, less often."
      />
      <Card flush>
        <JobFilters
          search={search}
          onChange={(next) => {
            void navigate({ search: next });
          }}
          onClear={Object.keys(filters).length > 0 ? clear : undefined}
        />
        {data === undefined ? (
          error ? (
            <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
          ) : (
            <div className="card-body">
              <Skeleton lines={8} label="Loading failed jobs" />
            </div>
          )
        ) : data.items.length === 0 ? (
          <NoJobs search={search} onClear={clear} />
        ) : (
          <>
            {/* Another filter is another list: nothing that was chosen in the one is dealt with in the other. */}
            <Jobs key={JSON.stringify(filters)} page={data} search={search} isStale={isPlaceholderData} />
            <Pagination
              summary={`${number(data.items.length)} of ${data.total_is_at_least ? 'more than ' : ''}${many(data.total, 'failed job')}`}
              onPrevious={pages.onPrevious}
              onNext={pages.onNext(data.next)}
              isPending={isPlaceholderData}
            />
          </>
        )}
      </Card>
    </>
  );
}

function NoJobs({ search, onClear }: { search: JobSearch; onClear: () => void }) {
  if (search.after !== undefined) {
    return (
      <EmptyState
        icon="check"
        title="Nothing is left on this page"
        action={<Button onPress={onClear}>To the first page</Button>}
      >
        What was here has been dealt with.
      </EmptyState>
    );
  }
  if (isNarrowed(search) || search.state !== undefined) {
    return (
      <EmptyState
        icon="search"
        title="No failed job matches"
        action={<Button onPress={onClear}>Clear filters</Button>}
      >
        Others may: take a filter away, or look at all states.
      </EmptyState>
    );
  }
  return (
    <EmptyState icon="check" title="No open failed jobs">
      Every refresh got through, or somebody has dealt with those that did not.
    </EmptyState>
  );
}

type Ask = { deed: Deed; id: string } | { deed: Deed; which: Which };

function Jobs({ page, search, isStale }: { page: FailedJobPage; search: JobSearch; isStale: boolean }) {
  const [chosen, choose] = useState<Record<string, true>>({});
  const [asking, ask] = useState<Ask>();
  const columns = useMemo(
    () =>
      jobColumns((deed, { id }) => {
        ask({ deed, id });
      }),
    [],
  );
  const ids = Object.keys(chosen);
  const isAnyOpen = page.items.some(isOpen);
  const close = () => {
    ask(undefined);
  };
  const both = (name: string, which: Which) => (
    <div>
      {(['replay', 'discard'] as const).map((deed) => (
        <Button
          key={deed}
          size="sm"
          icon={deed === 'replay' ? 'refresh' : 'trash'}
          onPress={() => {
            ask({ deed, which });
          }}
        >
          {`${deed === 'replay' ? 'Replay' : 'Discard'} ${name}`}
        </Button>
      ))}
    </div>
  );
  return (
    <>
      {ids.length > 0 ? (
        <div className="bulk">
          <span role="status">
            {many(ids.length, 'job')} chosen.{' '}
            <Button
              size="sm"
              variant="quiet"
              onPress={() => {
                choose({});
              }}
            >
              Choose none
            </Button>
          </span>
          {both('chosen', { ids })}
        </div>
      ) : (
        isAnyOpen && (
          <div className="bulk">
            <span>
              Choose some, or deal with all open ones{isNarrowed(search) ? ' that match' : ''} at once.
            </span>
            {both('all…', { filter: jobFilter(search) })}
          </div>
        )
      )}
      <DataTable
        caption="Failed jobs, newest first"
        columns={columns}
        rows={page.items}
        rowKey={({ id }) => id}
        isStale={isStale}
        selection={{
          chosen,
          onChange: choose,
          isChoosable: isOpen,
          name: ({ kind, failed_at }) => `${kindWords(kind)}, given up ${failed_at}`,
        }}
      />
      {asking && 'id' in asking && <OneDialog id={asking.id} deed={asking.deed} onClose={close} />}
      {asking && 'which' in asking && (
        <ManyDialog
          deed={asking.deed}
          which={asking.which}
          onClose={close}
          onDone={() => {
            choose({});
          }}
        />
      )}
    </>
  );
}

const isOpen = ({ state }: FailedJob) => state === 'open';
