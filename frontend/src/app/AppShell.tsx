import { useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link, Outlet, useLocation } from '@tanstack/react-router';
import { useEffect } from 'react';

import { Mark } from '../components/Icon';
import { AccountMenu } from './AccountMenu';
import { EndedBanner } from './EndedBanner';
import { followLive } from './events';
import { LiveNotice } from './LiveNotice';

const signedIn = getRouteApi('/signed-in');

/** What is around each page of somebody who is signed in. */
export function AppShell() {
  const { me } = signedIn.useRouteContext();
  const queries = useQueryClient();
  const isOps = useLocation({ select: ({ pathname }) => pathname.startsWith('/ops') });
  useEffect(() => followLive(queries), [queries]);
  return (
    <div className="shell" data-wide={isOps || undefined}>
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <header className="topbar">
        <div className="topbar-inner">
          <Link to="/connections" className="brand" aria-label="Evergrant, to your connections">
            <Mark />
            <span className="brand-name">Evergrant</span>
          </Link>
          <nav className="nav" aria-label="Main">
            <Link to="/connections" activeProps={{ 'aria-current': 'page' }}>
              Connections
            </Link>
            {me.is_admin && (
              <Link to="/ops" activeProps={{ 'aria-current': 'page' }}>
                Operations
              </Link>
            )}
          </nav>
          <div className="topbar-end">
            <AccountMenu me={me} />
          </div>
        </div>
      </header>
      <main className="content" id="content" tabIndex={-1}>
        <div className="banners">
          <EndedBanner user={me.id} />
          <LiveNotice />
        </div>
        <Outlet />
      </main>
    </div>
  );
}
