/** What can be wrong, as the API tells it (RFC 9457): switch on `kind`, never on a text. */

import { AxiosError, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';

import type { components } from './schema.js';

/** A problem as it comes over the wire. */
export type Problem = components['schemas']['Problem'];

/** The type URIs begin with this. */
const BASE = 'https://evergrant.dev/problems/';

type Slug<T extends string> = T extends `${typeof BASE}${infer S}` ? S : never;

/** The closed list, as the API publishes it. */
export type ProblemKind = Slug<Problem['type']>;

// A record, so that the compiler refuses a kind that is missing here as well as one that the API does not know.
const KINDS: Record<ProblemKind, true> = {
  unauthenticated: true,
  'session-expired': true,
  'session-ended': true,
  'wrong-password': true,
  'csrf-header-missing': true,
  forbidden: true,
  'insufficient-scope': true,
  'not-found': true,
  'method-not-allowed': true,
  'invalid-request': true,
  'invalid-parameter': true,
  'body-too-large': true,
  'unsupported-media-type': true,
  'invalid-state': true,
  'consent-denied': true,
  'consent-failed': true,
  'sign-in-refused': true,
  'other-account': true,
  'provider-reauth-required': true,
  'provider-rejected': true,
  'provider-unavailable': true,
  'app-credentials-invalid': true,
  'refresh-paused': true,
  'refresh-timeout': true,
  'not-configured': true,
  'rate-limited': true,
  overloaded: true,
  unavailable: true,
  timeout: true,
  'bad-gateway': true,
  internal: true,
};

/** Every kind of problem. */
export const PROBLEM_KINDS = Object.keys(KINDS) as readonly ProblemKind[];

/** Whether the API knows this kind. */
export function isProblemKind(word: string): word is ProblemKind {
  return Object.hasOwn(KINDS, word);
}

/** A refusal, in the words of the API. It stays an axios error: whoever looks at `response.data.detail` still finds it. */
export class ApiProblem extends AxiosError {
  override readonly name = 'ApiProblem';
  readonly kind: ProblemKind;
  /** What is wrong here and what to do, for people. */
  readonly detail: string;
  /** When to ask again, in seconds. */
  readonly retryAfter: number | undefined;
  readonly connectionId: string | undefined;
  /** Why the connection is not `active`. */
  readonly reason: string | undefined;
  /** What the log of the server knows the request by. */
  readonly requestId: string | undefined;

  constructor(found: FoundProblem, cause: AxiosError) {
    super(found.problem.detail, cause.code, cause.config, cause.request, cause.response);
    const { detail, retry_after, connection_id, reason, request_id } = found.problem;
    this.kind = found.kind;
    this.detail = detail;
    this.retryAfter = retry_after;
    this.connectionId = connection_id;
    this.reason = reason;
    this.requestId = request_id;
  }
}

/** The code of a [`SessionUnavailable`], beside those of axios. */
export const ERR_SESSION_UNAVAILABLE = 'ERR_SESSION_UNAVAILABLE';

/**
 * The session could not be carried on just now and has not ended: nobody is to be sent to the sign-in page. It has no
 * `response`, so that code which takes any 401 for a sign-out does not take this for one.
 */
export class SessionUnavailable extends AxiosError {
  override readonly name = 'SessionUnavailable';
  /** When it is tried again at the earliest, in milliseconds since 1970. */
  readonly retryAt: number;

  constructor(retryAt: number, config?: InternalAxiosRequestConfig) {
    super('Your session could not be renewed just now. You are still signed in: try again in a moment.');
    this.code = ERR_SESSION_UNAVAILABLE;
    this.retryAt = retryAt;
    if (config) this.config = config;
  }
}

/** A problem of a kind that is known. */
export interface FoundProblem {
  readonly kind: ProblemKind;
  readonly problem: Problem;
}

/** Reads the problem out of the body of a refusal. `undefined`: it is none of ours, such as the page of a proxy. */
export function problemIn(body: unknown): FoundProblem | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const given = body as Partial<Record<keyof Problem, unknown>>;
  const detail = typeof given.detail === 'string' ? given.detail : undefined;
  const kind = kindOf(given.type, detail);
  if (kind === undefined) return undefined;
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const problem: Problem = {
    type: `${BASE}${kind}`,
    title: text(given.title) ?? 'Not possible',
    status: typeof given.status === 'number' ? given.status : 0,
    detail: detail ?? text(given.title) ?? 'The request was refused.',
  };
  if (typeof given.retry_after === 'number') problem.retry_after = given.retry_after;
  for (const name of ['connection_id', 'reason', 'request_id'] as const) {
    const value = text(given[name]);
    if (value !== undefined) problem[name] = value;
  }
  return { kind, problem };
}

function kindOf(type: unknown, detail: string | undefined): ProblemKind | undefined {
  if (typeof type === 'string') {
    const slug = type.startsWith(BASE) ? type.slice(BASE.length) : '';
    return isProblemKind(slug) ? slug : undefined;
  }
  // What the original's own routes say, which may stand behind the same `/api`. All they have is this text.
  return detail === 'Token has expired' ? 'session-expired' : undefined;
}

/** The body of an answer as JSON, whatever the caller wants it as. It can be read once more afterwards. */
export async function jsonIn(response: AxiosResponse<unknown>): Promise<unknown> {
  if (response.data instanceof ReadableStream) response.data = await new Response(response.data).text();
  const { data } = response;
  try {
    if (typeof data === 'string') return JSON.parse(data);
    if (data instanceof Blob || data instanceof ArrayBuffer) return await new Response(data).json();
  } catch {
    return undefined;
  }
  return data;
}
