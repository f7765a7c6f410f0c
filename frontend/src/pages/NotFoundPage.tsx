import { usePageTitle } from '../app/pageFocus';
import { ButtonLink } from '../components/Button';
import { Card } from '../components/Card';
import { EmptyState } from '../components/States';

export function NotFoundPage() {
  usePageTitle('Page not found');
  return (
    <main className="content">
      <Card>
        <EmptyState
          level={1}
          icon="search"
          title="There is no such page"
          action={
            <ButtonLink to="/connections" variant="primary">
              Go to your connections
            </ButtonLink>
          }
        >
          The address may have been mistyped, or the page is not for you.
        </EmptyState>
      </Card>
    </main>
  );
}
