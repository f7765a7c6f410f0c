import { ButtonLink } from '../components/Button';
import { DoorLayout } from './DoorLayout';

export function NotFoundPage() {
  return (
    <DoorLayout
      title="There is no such page"
      description="The address may have been mistyped, or the page is not for you."
    >
      <div className="page-actions">
        <ButtonLink to="/connections" variant="primary">
          Go to your connections
        </ButtonLink>
      </div>
    </DoorLayout>
  );
}
