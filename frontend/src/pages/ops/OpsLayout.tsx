import { Link, Outlet } from '@tanstack/react-router';

import '../../styles/ops.css';
import { useKeptFocus } from './focus';
import { PausedBand } from './PausedBand';

const current = { 'aria-current': 'page' } as const;

/** The pages of operators, and the way between them. */
export function OpsLayout() {
  useKeptFocus();
  return (
    <>
      <nav className="subnav" aria-label="Operations">
        <Link to="/ops" activeOptions={{ exact: true, includeSearch: false }} activeProps={current}>
          Overview
        </Link>
        <Link to="/ops/connections" activeOptions={{ includeSearch: false }} activeProps={current}>
          Connections
        </Link>
        <Link to="/ops/processes" activeProps={current}>
          Processes
        </Link>
        <Link to="/ops/failed-jobs" activeOptions={{ includeSearch: false }} activeProps={current}>
          Failed jobs
        </Link>
        <Link to="/ops/pauses" activeOptions={{ includeSearch: false }} activeProps={current}>
          Pauses
        </Link>
        <Link to="/ops/usage" activeOptions={{ includeSearch: false }} activeProps={current}>
          Usage
        </Link>
        <Link to="/ops/webhooks" activeOptions={{ includeSearch: false }} activeProps={current}>
          Webhooks
        </Link>
        <Link to="/ops/keys" activeProps={current}>
          Keys
        </Link>
      </nav>
      <PausedBand />
      <Outlet />
    </>
  );
}
