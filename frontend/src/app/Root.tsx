import { type ErrorComponentProps, Outlet, useRouter } from '@tanstack/react-router';

import { Card } from '../components/Card';
import { ErrorState, Skeleton } from '../components/States';
import { ToastRegion } from '../components/ToastRegion';
import { usePageFocus } from './pageFocus';

export function Root() {
  usePageFocus();
  return (
    <>
      <Outlet />
      <ToastRegion />
    </>
  );
}

/** A page that could not be shown. */
export function PageError({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <main className="content">
      <Card>
        <ErrorState
          level={1}
          error={error}
          onRetry={() => {
            reset();
            void router.invalidate();
          }}
        />
      </Card>
    </main>
  );
}

/** A page that is on its way. */
export function PagePending() {
  return (
    <main className="content">
      <Card>
        <Skeleton lines={6} label="Loading the page" />
      </Card>
    </main>
  );
}
