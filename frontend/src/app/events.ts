/** What the client tells, in the pages: sessions that begin and end in any tab, and what happens to connections. */

import type { QueryClient } from '@tanstack/react-query';

import { live, type LiveEvent, on, session } from '../services/api';
import { CONNECTIONS } from './connections';
import type { AppRouter } from './router';

/** Events that come together, as after an outage, are one reading of the list. */
const GATHER_MS = 250;

/** Reads again what an event is about. Each is a hint: the API has the truth. */
export function liveListener(queries: QueryClient): (event: LiveEvent) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isAll = false;
  const read = () => {
    timer = undefined;
    void queries.invalidateQueries(isAll ? {} : { queryKey: CONNECTIONS });
    isAll = false;
  };
  return (event) => {
    // A gap may hide anything, and an app that was held or opened shows in more than its connections.
    isAll ||= event.type !== 'connection';
    timer ??= setTimeout(read, GATHER_MS);
  };
}

/** Follows the session for as long as the page is open. */
export function followSession(queries: QueryClient, router: AppRouter): () => void {
  const offs = [
    on('signed-in', () => {
      // It may be somebody else than before: nothing that was read for the former is shown to them.
      queries.removeQueries({ type: 'inactive' });
      void queries.resetQueries();
      // A sign-in of this very page navigates by itself.
      if (router.state.status === 'idle') void router.invalidate();
    }),
    on('signed-out', ({ reason }) => {
      const { pathname, href } = router.state.location;
      queries.clear();
      // Nobody was signed in: the guard of the page sends them on, if the page is not for everybody.
      if (reason === 'not-signed-in' || isForEverybody(pathname)) return;
      const back = reason === 'session-ended' && href !== '/connections' ? { redirect: href } : {};
      void router.navigate({ to: '/sign-in', search: { ...back, why: reason }, replace: true });
    }),
    on('reauth-required', () => {
      void queries.invalidateQueries({ queryKey: CONNECTIONS });
    }),
  ];
  return () => {
    for (const off of offs) off();
  };
}

function isForEverybody(pathname: string): boolean {
  return pathname === '/sign-in' || pathname.startsWith('/auth/');
}

/** Hears live events while somebody is signed in. */
export function followLive(queries: QueryClient): () => void {
  if (session.state === 'signed-out') return () => undefined;
  return live.subscribe(liveListener(queries));
}
