/** Who may see which page. */

import type { QueryClient } from '@tanstack/react-query';
import { redirect } from '@tanstack/react-router';

import { localPath } from '../lib/redirect';
import { session } from '../services/api';
import { type Me, meQuery } from './me';

/** Lets in whoever is signed in; the others sign in first and come back. */
export async function signedInOnly(
  queries: QueryClient,
  location: { readonly href: string },
): Promise<{ me: Me }> {
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- the way of the router
  if ((await session.restore()) === 'signed-out') throw toSignIn(location.href);
  try {
    return { me: await queries.query({ ...meQuery, staleTime: 'static' }) };
  } catch (error) {
    // The session turned out to be over while this was asked. The client knows it through other code by now.
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- the way of the router
    if (isSignedOut()) throw toSignIn(location.href);
    throw error;
  }
}

const isSignedOut = () => session.state === 'signed-out';

function toSignIn(from: string) {
  const back = localPath(from);
  return redirect({
    to: '/sign-in',
    search: back === '/connections' ? {} : { redirect: back },
    replace: true,
  });
}
