import { type ErrorComponentProps, Outlet, useRouter } from '@tanstack/react-router';
import { useCallback, useEffect } from 'react';

import { Card } from '../components/Card';
import { ErrorState, Skeleton } from '../components/States';
import { ToastRegion } from '../components/ToastRegion';
import { Door } from '../pages/DoorLayout';
import { SessionUnavailable } from '../services/api';
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

/** A page inside the shell that could not be shown. */
export function PageError({ error, reset }: ErrorComponentProps) {
  const again = useAgain(error, reset);
  return (
    <Card>
      <ErrorState level={1} error={error} onRetry={again} />
    </Card>
  );
}

/** Not even the shell could be shown: who is signed in cannot be told now. */
export function DoorError({ error, reset }: ErrorComponentProps) {
  const again = useAgain(error, reset);
  return (
    <Door>
      <ErrorState level={1} error={error} onRetry={again} />
    </Door>
  );
}

/** A page inside the shell that is on its way. */
export function PagePending() {
  return (
    <Card>
      <Skeleton lines={6} label="Loading the page" />
    </Card>
  );
}

/** Who is signed in is being asked. */
export function DoorPending() {
  return (
    <Door>
      <Skeleton lines={3} label="Loading" />
    </Door>
  );
}

/** Tries again: when asked to, and by itself as soon as a session that could not be renewed may be asked for again. */
function useAgain(error: unknown, reset: () => void): () => void {
  const router = useRouter();
  const again = useCallback(() => {
    reset();
    void router.invalidate();
  }, [reset, router]);
  useEffect(() => {
    if (!(error instanceof SessionUnavailable)) return;
    const timer = setTimeout(again, Math.max(error.retryAt - Date.now(), 1_000));
    return () => {
      clearTimeout(timer);
    };
  }, [error, again]);
  return again;
}
