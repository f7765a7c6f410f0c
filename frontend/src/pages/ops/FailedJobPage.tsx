import { PageHead } from '../../components/PageHead';

export function FailedJobPage() {
  return <PageHead title="Failed job" />;
}
