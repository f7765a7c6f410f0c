import { PageHead } from '../../components/PageHead';

export function FailedJobsPage() {
  return <PageHead title="Failed jobs" />;
}
