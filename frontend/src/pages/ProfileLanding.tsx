import { getRouteApi, useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';

import { Skeleton } from '../components/States';
import { toasts } from '../components/toasts';
import { localPath } from '../lib/redirect';

const route = getRouteApi('/signed-in/profile');

/** Where a browser lands after an account was connected or reconnected: says so, and goes on. */
export function ProfileLanding() {
  const { reauth, connected, scopes, redirect } = route.useSearch();
  const router = useRouter();
  useEffect(() => {
    const isReduced = scopes === 'reduced';
    if (reauth === 'success') {
      toasts.show('good', 'The account is reconnected.');
    } else if (connected === 'success') {
      toasts.show('good', 'The account is connected. It is kept alive from now on.');
    }
    if (isReduced) {
      toasts.show('warn', 'Amazon gave fewer permissions than were asked for, so some things may not work.');
    }
    void router.navigate({ href: localPath(redirect), replace: true });
  }, [reauth, connected, scopes, redirect, router]);
  return <Skeleton lines={3} label="Going on to your connections" />;
}
