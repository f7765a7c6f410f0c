import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';

import { AuthErrorPage } from '../pages/AuthErrorPage';
import { AuthSuccessPage } from '../pages/AuthSuccessPage';
import { ConnectionPage } from '../pages/ConnectionPage';
import { ConnectionsPage } from '../pages/ConnectionsPage';
import { NotFoundPage } from '../pages/NotFoundPage';
import { ProfileLanding } from '../pages/ProfileLanding';
import { SignInPage } from '../pages/SignInPage';
import { CONNECTION_FILTERS, DELIVERY_FILTERS, JOB_FILTERS, USAGE_FILTERS } from '../pages/ops/filters';
import { OpsGate } from '../pages/OpsGate';
import { AppShell } from './AppShell';
import { signedInOnly } from './guards';
import { DoorError, DoorPending, PageError, PagePending, Root } from './Root';
import { localPath } from '../lib/redirect';
import { session } from '../services/api';

interface Context {
  readonly queries: QueryClient;
}

/** Words of an address as texts; whoever made the link may have written anything. */
function texts<Name extends string>(names: readonly Name[]) {
  return (search: Record<string, unknown>): Partial<Record<Name, string>> => {
    const found: Partial<Record<Name, string>> = {};
    for (const name of names) {
      const value = search[name];
      if (typeof value === 'string' && value !== '') found[name] = value;
    }
    return found;
  };
}

const signInSearch = texts(['redirect', 'why']);
const spanSearch = texts(['span']);
const connectionSearch = texts([...CONNECTION_FILTERS, 'after']);
const jobSearch = texts([...JOB_FILTERS, 'after']);
const deliverySearch = texts([...DELIVERY_FILTERS, 'after']);
const usageSearch = texts(USAGE_FILTERS);

const root = createRootRouteWithContext<Context>()({ component: Root, notFoundComponent: NotFoundPage });

const index = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- the way of the router
    throw redirect({ to: '/connections', replace: true });
  },
});

export const signInRoute = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: signInSearch,
  beforeLoad: async ({ search }) => {
    const state = await session.restore().catch(() => 'signed-out' as const);
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- the way of the router
    if (state === 'signed-in') throw redirect({ href: localPath(search.redirect), replace: true });
  },
  component: SignInPage,
});

export const authSuccessRoute = createRoute({
  getParentRoute: () => root,
  path: '/auth/success',
  validateSearch: texts(['redirect', 'scopes']),
  component: AuthSuccessPage,
});

export const authErrorRoute = createRoute({
  getParentRoute: () => root,
  path: '/auth/error',
  validateSearch: texts(['problem', 'message']),
  component: AuthErrorPage,
});

/** Whatever needs a session. */
export const signedIn = createRoute({
  getParentRoute: () => root,
  id: 'signed-in',
  beforeLoad: ({ context, location }) => signedInOnly(context.queries, location),
  component: AppShell,
  errorComponent: DoorError,
  pendingComponent: DoorPending,
});

export const profileRoute = createRoute({
  getParentRoute: () => signedIn,
  path: '/profile',
  validateSearch: texts(['reauth', 'connected', 'scopes', 'redirect']),
  component: ProfileLanding,
});

const connectionsRoute = createRoute({
  getParentRoute: () => signedIn,
  path: '/connections',
  component: ConnectionsPage,
});

export const connectionRoute = createRoute({
  getParentRoute: () => signedIn,
  path: '/connections/$id',
  component: ConnectionPage,
});

/** The pages of operators, loaded when they are opened. */
const ops = createRoute({
  getParentRoute: () => signedIn,
  path: '/ops',
  component: OpsGate,
});

const opsOverview = createRoute({
  getParentRoute: () => ops,
  path: '/',
  validateSearch: spanSearch,
  component: lazyRouteComponent(() => import('../pages/ops/OverviewPage'), 'OverviewPage'),
});

const opsConnections = createRoute({
  getParentRoute: () => ops,
  path: '/connections',
  validateSearch: connectionSearch,
  component: lazyRouteComponent(() => import('../pages/ops/OpsConnectionsPage'), 'OpsConnectionsPage'),
});

const opsConnection = createRoute({
  getParentRoute: () => ops,
  path: '/connections/$id',
  component: lazyRouteComponent(() => import('../pages/ops/OpsConnectionPage'), 'OpsConnectionPage'),
});

const opsProcesses = createRoute({
  getParentRoute: () => ops,
  path: '/processes',
  component: lazyRouteComponent(() => import('../pages/ops/ProcessesPage'), 'ProcessesPage'),
});

const opsFailedJobs = createRoute({
  getParentRoute: () => ops,
  path: '/failed-jobs',
  validateSearch: jobSearch,
  component: lazyRouteComponent(() => import('../pages/ops/FailedJobsPage'), 'FailedJobsPage'),
});

const opsFailedJob = createRoute({
  getParentRoute: () => ops,
  path: '/failed-jobs/$id',
  component: lazyRouteComponent(() => import('../pages/ops/FailedJobPage'), 'FailedJobPage'),
});

const opsPauses = createRoute({
  getParentRoute: () => ops,
  path: '/pauses',
  validateSearch: texts(['after']),
  component: lazyRouteComponent(() => import('../pages/ops/PausesPage'), 'PausesPage'),
});

const opsUsage = createRoute({
  getParentRoute: () => ops,
  path: '/usage',
  validateSearch: usageSearch,
  component: lazyRouteComponent(() => import('../pages/ops/UsagePage'), 'UsagePage'),
});

const opsWebhooks = createRoute({
  getParentRoute: () => ops,
  path: '/webhooks',
  component: lazyRouteComponent(() => import('../pages/ops/WebhooksPage'), 'WebhooksPage'),
});

const opsWebhook = createRoute({
  getParentRoute: () => ops,
  path: '/webhooks/$id',
  validateSearch: deliverySearch,
  component: lazyRouteComponent(() => import('../pages/ops/WebhookPage'), 'WebhookPage'),
});

const opsKeys = createRoute({
  getParentRoute: () => ops,
  path: '/keys',
  component: lazyRouteComponent(() => import('../pages/ops/KeysPage'), 'KeysPage'),
});

const tree = root.addChildren([
  index,
  signInRoute,
  authSuccessRoute,
  authErrorRoute,
  signedIn.addChildren([
    profileRoute,
    connectionsRoute,
    connectionRoute,
    ops.addChildren([
      opsOverview,
      opsConnections,
      opsConnection,
      opsProcesses,
      opsFailedJobs,
      opsFailedJob,
      opsPauses,
      opsUsage,
      opsWebhooks,
      opsWebhook,
      opsKeys,
    ]),
  ]),
]);

export function createAppRouter(queries: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { queries },
    defaultErrorComponent: PageError,
    defaultPendingComponent: PagePending,
    defaultPendingMs: 400,
    defaultPreload: false,
    scrollRestoration: true,
    // Search values are words, not JSON: `?after=12` is a text.
    parseSearch: (query) => Object.fromEntries(new URLSearchParams(query)),
    stringifySearch: (search) => {
      const pairs = Object.entries(search as Record<string, string | undefined>);
      const query = new URLSearchParams(pairs.filter((pair): pair is [string, string] => Boolean(pair[1])));
      return query.size === 0 ? '' : `?${query.toString()}`;
    },
  });
}

export type AppRouter = ReturnType<typeof createAppRouter>;

declare module '@tanstack/react-router' {
  interface Register {
    router: AppRouter;
  }
}
