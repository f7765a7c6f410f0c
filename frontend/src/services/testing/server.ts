/** A server at the level of HTTP, with the rules of the real one: one present access token, and a session that ends. */

import type { ProblemKind } from '../problems.js';

type Answer = (request: Request) => Response | Promise<Response>;

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly bearer: string | undefined;
  readonly headers: Headers;
  readonly body: string;
}

/** How long an answer takes, in milliseconds. */
export const LATENCY_MS = 20;

export class FakeServer {
  readonly calls: Call[] = [];
  /** The number of the present access token; the others have expired. */
  present = 1;
  /** Whether there is a session at all, as the cookie would say. */
  hasSession = true;
  readonly #scripts = new Map<string, Answer[]>();

  /** How often this was asked for. */
  count(path: string): number {
    return this.calls.filter((call) => call.path === path).length;
  }

  get refreshes(): number {
    return this.count('/auth/refresh');
  }

  /** The access token expires; a refresh gives the next. */
  expire(): void {
    this.present += 1;
  }

  /** Answers the next requests for a path so, one after the other, and every further one like the last. */
  script(path: string, ...answers: Answer[]): void {
    this.#scripts.set(path, answers);
  }

  async answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname.replace(/^\/api/, '');
    const bearer = request.headers.get('authorization')?.replace('Bearer ', '');
    const body = await request.clone().text();
    this.calls.push({ method: request.method, path, bearer, headers: request.headers, body });
    await delay(LATENCY_MS, request.signal);
    const script = this.#scripts.get(path);
    const scripted = script && (script.length > 1 ? script.shift() : script[0]);
    return scripted ? scripted(request) : this.#byRule(path, bearer);
  }

  #byRule(path: string, bearer: string | undefined): Response {
    if (path === '/auth/refresh') {
      return this.hasSession ? tokens(`token-${this.present}`) : problem(401, 'session-ended');
    }
    if (path === '/auth/login') {
      this.hasSession = true;
      return tokens(`token-${this.present}`);
    }
    if (path === '/auth/logout') {
      this.hasSession = false;
      return Response.json({ message: 'Logged out successfully' });
    }
    if (bearer === undefined) return problem(401, 'unauthenticated');
    if (!this.hasSession) return problem(401, 'session-ended');
    if (bearer !== `token-${this.present}`) return problem(401, 'session-expired');
    return Response.json({ path });
  }
}

export function tokens(access_token: string, expires_in = 900): Response {
  return Response.json({ access_token, token_type: 'bearer', expires_in });
}

export function problem(status: number, kind: ProblemKind, more: Record<string, unknown> = {}): Response {
  const { retry_after } = more;
  const headers: Record<string, string> = { 'Content-Type': 'application/problem+json' };
  if (typeof retry_after === 'number') headers['Retry-After'] = String(retry_after);
  const type = `https://evergrant.dev/problems/${kind}`;
  const body = { type, title: kind, status, detail: `It is ${kind}.`, ...more };
  return new Response(JSON.stringify(body), { status, headers });
}

/** The network is away. */
export function broken(): never {
  throw new TypeError('fetch failed');
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('The request was aborted.', 'AbortError'));
    });
  });
}
