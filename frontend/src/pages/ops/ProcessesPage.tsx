import { PageHead } from '../../components/PageHead';

export function ProcessesPage() {
  return <PageHead title="Processes" />;
}
