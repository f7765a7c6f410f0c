/**
 * The adapter that every request goes through. It stands below axios's interceptors and transforms, so that a repeat is
 * the same bytes again, no interceptor runs twice, and no access token ends up in the `config` of an error.
 */

import axios, {
  AxiosError,
  AxiosHeaders,
  type AxiosAdapter,
  type AxiosResponse,
  type InternalAxiosRequestConfig,
} from 'axios';

import { pause } from './backoff.js';
import type { ClientEvents, Emitter } from './events.js';
import type { Platform } from './platform.js';
import {
  ApiProblem,
  type FoundProblem,
  jsonIn,
  type ProblemKind,
  problemIn,
  SessionUnavailable,
} from './problems.js';
import { isReadOnly, waitBeforeRepeat } from './retry.js';
import type { Session } from './session.js';

export interface Transport {
  readonly platform: Platform;
  readonly session: Session;
  readonly events: Emitter<ClientEvents>;
  /** What really sends. */
  readonly send: (config: InternalAxiosRequestConfig) => ReturnType<AxiosAdapter>;
  /** The path below the API's base, `/auth/login`; `undefined`: it is another's address, which gets nothing of ours. */
  readonly pathOf: (config: InternalAxiosRequestConfig) => string | undefined;
}

/** What came back: an answer, or an error that may have one. A caller's `validateStatus` may let refusals pass as answers. */
type Exchange = { readonly problem: FoundProblem | undefined } & (
  | { readonly response: AxiosResponse; readonly error?: undefined }
  | { readonly response: AxiosResponse | undefined; readonly error: AxiosError }
);

/** The refusals that are about the access token. Every other 401, such as one of Amazon's, is not about the session. */
const OF_TOKENS: ReadonlySet<ProblemKind> = new Set(['session-expired', 'session-ended', 'unauthenticated']);

/** Makes the adapter. */
export function adapter(transport: Transport): AxiosAdapter {
  return async (config) => {
    const path = transport.pathOf(config);
    if (path === undefined) return transport.send(config);
    transport.session.join();
    const exchange = await exchanged(transport, config, path);
    notice(transport, config, path, exchange);
    if (!exchange.error) return exchange.response;
    const { problem, error } = exchange;
    throw problem ? new ApiProblem(problem, error) : error;
  };
}

async function exchanged(
  transport: Transport,
  config: InternalAxiosRequestConfig,
  path: string,
): Promise<Exchange> {
  const { session } = transport;
  // What the caller shows is the caller's own business, and so is its refusal.
  if (config.headers.has('Authorization') || isAboutSession(config, path)) {
    return sent(transport, config, undefined);
  }
  const used = session.token;
  const first = await sent(transport, config, used);
  judge(session, first, used);
  // A body that is a stream was read by the first try.
  if (!isRefused(first) || config.data instanceof ReadableStream) return first;
  const renewal = await unlessAborted(config, session.renew(used));
  if (renewal.outcome === 'signed-out') return first;
  if (renewal.outcome === 'unavailable') throw new SessionUnavailable(renewal.retryAt, config);
  const second = await sent(transport, config, renewal.token);
  judge(session, second, renewal.token);
  if (isRefused(second)) session.doubted(renewal.token);
  return second;
}

/** What an answer says about the token that it was asked with, if that is the present one. */
function judge(session: Session, { response, error, problem }: Exchange, used: string | undefined): void {
  if (session.token !== used) return;
  if (response && !error && used !== undefined) session.worked();
  if (problem?.kind === 'session-ended') session.signedOut('session-ended');
}

/** Whether another token may help. Whether there is one to be had, the session knows. */
function isRefused({ response, problem }: Exchange): boolean {
  return response?.status === 401 && problem !== undefined && OF_TOKENS.has(problem.kind);
}

/** The calls that make and end sessions: none of them waits for one. */
function isAboutSession(config: InternalAxiosRequestConfig, path: string): boolean {
  return config.method?.toLowerCase() === 'post' && (path === '/auth/login' || path === '/auth/refresh');
}

/** Sends it, and sends it again where that is harmless and may help. */
async function sent(
  transport: Transport,
  config: InternalAxiosRequestConfig,
  token: string | undefined,
): Promise<Exchange> {
  const { platform } = transport;
  for (let failures = 1; ; failures += 1) {
    const exchange = await sentOnce(transport, config, token);
    const isWorthIt = exchange.error && isReadOnly(config) && exchange.error.code !== AxiosError.ECONNABORTED;
    const wait = isWorthIt
      ? waitBeforeRepeat(failures, exchange, platform.now(), platform.random())
      : undefined;
    if (wait === undefined) return exchange;
    await unlessAborted(config, pause(wait));
  }
}

async function sentOnce(
  { send }: Transport,
  config: InternalAxiosRequestConfig,
  token: string | undefined,
): Promise<Exchange> {
  const headers = new AxiosHeaders(config.headers);
  headers.set('X-Requested-With', 'XMLHttpRequest', false);
  if (token !== undefined) headers.set('Authorization', `Bearer ${token}`);
  try {
    const response = withoutToken(await send({ ...config, headers }), config);
    return { response, problem: await foundIn(response) };
  } catch (error) {
    if (!axios.isAxiosError(error) || axios.isCancel(error)) throw error;
    withoutToken(error, config);
    const response = error.response && withoutToken(error.response, config);
    return { response, error, problem: response && (await foundIn(response)) };
  }
}

/** Answers and errors end up in logs, and what was sent has the token in its headers. */
function withoutToken<T extends AxiosResponse | AxiosError>(told: T, config: InternalAxiosRequestConfig): T {
  told.config = config;
  told.request = undefined;
  return told;
}

async function foundIn(response: AxiosResponse): Promise<FoundProblem | undefined> {
  return response.status < 400 ? undefined : problemIn(await jsonIn(response));
}

/** What an answer means beside itself. */
function notice(
  { session, events }: Transport,
  config: InternalAxiosRequestConfig,
  path: string,
  { response, problem }: Exchange,
): void {
  if (problem?.kind === 'provider-reauth-required') {
    const { connection_id, reason, detail } = problem.problem;
    events.emit('reauth-required', { connectionId: connection_id, reason, detail });
  }
  if (config.method?.toLowerCase() !== 'post') return;
  if (path === '/auth/refresh' && response?.status === 401 && problem) session.signedOut('session-ended');
  if (response?.status !== 200) return;
  if (path === '/auth/login') session.signedIn(bodyOf(response));
  if (path === '/auth/refresh') session.refreshed(bodyOf(response));
  if (path === '/auth/logout') session.signedOut('by-user');
}

function bodyOf({ data }: AxiosResponse): unknown {
  try {
    return typeof data === 'string' ? JSON.parse(data) : data;
  } catch {
    return undefined;
  }
}

/** A caller who goes away waits no longer; what is waited for goes on for the others. */
async function unlessAborted<T>(config: InternalAxiosRequestConfig, waiting: Promise<T>): Promise<T> {
  const { signal, cancelToken } = config;
  const gone = () => new axios.CanceledError(undefined, config);
  cancelToken?.throwIfRequested();
  if (signal?.aborted) throw gone();
  if (!signal && !cancelToken) return waiting;
  let leave: (() => void) | undefined;
  const left = new Promise<never>((_, reject) => {
    leave = () => {
      reject(gone());
    };
    signal?.addEventListener?.('abort', leave);
    void cancelToken?.promise.then(leave);
  });
  try {
    return await Promise.race([waiting, left]);
  } finally {
    if (leave) signal?.removeEventListener?.('abort', leave);
  }
}
