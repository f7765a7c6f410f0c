import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';

import { Button, ButtonLink } from '../components/Button';
import { ErrorState, Skeleton } from '../components/States';
import { localPath } from '../lib/redirect';
import { session } from '../services/api';
import { DoorLayout } from './DoorLayout';

const route = getRouteApi('/auth/success');

/** Amazon sent the browser back and the cookie holds a session: it is worth a token, and on it goes. */
export function AuthSuccessPage() {
  const { redirect, scopes } = route.useSearch();
  const router = useRouter();
  const onward = localPath(redirect);
  const { data, error, refetch, isFetching } = useQuery({
    queryKey: ['restore'],
    queryFn: () => session.restore(),
    gcTime: 0,
    staleTime: Infinity,
  });
  const isReduced = scopes === 'reduced';
  useEffect(() => {
    if (data === 'signed-in' && !isReduced) void router.navigate({ href: onward, replace: true });
  }, [data, isReduced, onward, router]);

  if (error) {
    return (
      <DoorLayout title="You are nearly there">
        <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
      </DoorLayout>
    );
  }
  if (data === 'signed-out') {
    return (
      <DoorLayout
        title="The sign-in did not last"
        description="Amazon said yes, but this browser keeps no session for Evergrant. Check that it accepts cookies of this site, and sign in again."
      >
        <ButtonLink to="/sign-in" variant="primary">
          Sign in again
        </ButtonLink>
      </DoorLayout>
    );
  }
  if (data === 'signed-in' && isReduced) {
    return (
      <DoorLayout
        title="You are signed in, with less than was asked for"
        description="Amazon gave fewer permissions than Evergrant asked for, so some things may not work. Reconnect the account and allow everything to change that."
      >
        <Button
          variant="primary"
          onPress={() => {
            void router.navigate({ href: onward, replace: true });
          }}
        >
          Go on
        </Button>
      </DoorLayout>
    );
  }
  return (
    <DoorLayout title="Signing you in">
      <Skeleton lines={2} label="Signing you in" />
    </DoorLayout>
  );
}
