/**
 * The client of Evergrant's API. The default export is an axios instance with the base `/api`, as in the original: an app
 * that has its own `services/api.ts` of that kind can put this in its place.
 */

import { createClient } from './client.js';

const client = createClient();

export default client.api;

/** Who is signed in: `restore`, `signOut`, `state`. */
export const session = client.session;
/** Live events about connections, one stream for all tabs. */
export const live = client.live;
/** Hears `signed-in`, `signed-out`, `session-refreshed` or `reauth-required`. */
export const on = client.on;

export { createClient, type Client, type ClientOptions } from './client.js';
export type { ClientEvents, SignedOutReason } from './events.js';
export {
  ApiProblem,
  isProblemKind,
  PROBLEM_KINDS,
  SessionUnavailable,
  type Problem,
  type ProblemKind,
} from './problems.js';
export type { SessionControls, SessionState } from './session.js';
export type { LiveEvent, LiveState, LiveStream } from './stream.js';
export type { components, operations, paths } from './schema.js';
