import { PageHead } from '../../components/PageHead';

export function OpsConnectionPage() {
  return <PageHead title="Connection" />;
}
