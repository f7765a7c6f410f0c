import { PageHead } from '../../components/PageHead';

export function OpsConnectionsPage() {
  return <PageHead title="Connections" />;
}
