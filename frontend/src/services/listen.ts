/** One stream of live events, from its opening to its end. */

import { askedWait, pause } from './backoff.js';
import type { Platform } from './platform.js';
import { problemIn, type ProblemKind } from './problems.js';
import type { Session } from './session.js';
import { EventReader, type ServerSentEvent } from './sse.js';
import type { LiveEvent } from './stream.js';

/** The server sends something every 15 seconds. After three times nothing the stream is dead, whatever TCP thinks. */
const SILENCE_MS = 45_000;

/** What came, and the id to resume behind. */
export interface Heard {
  readonly events: readonly LiveEvent[];
  readonly lastId: string | undefined;
}

/** How a stream ended. `renewed`: its token had expired and there is another; `refused`: it is not to be asked for again. */
export interface Round {
  readonly end: 'broken' | 'renewed' | 'refused';
  /** The wait that the server asks for, in milliseconds. */
  readonly wait?: number | undefined;
  /** The wait that the server asks for after any break, in milliseconds. */
  readonly retry?: number | undefined;
}

export interface Listening {
  readonly platform: Platform;
  readonly session: Session;
  readonly url: string;
  readonly lastId: string | undefined;
  readonly signal: AbortSignal;
  readonly opened: () => void;
  readonly heard: (told: Heard) => void;
}

/** Listens until the stream ends. Never fails. */
export async function listenOnce(listening: Listening): Promise<Round> {
  const { session, platform } = listening;
  const token = session.token;
  if (token === undefined) return renewed(session, platform, undefined);
  const silent = new AbortController();
  const stop = () => {
    silent.abort();
  };
  listening.signal.addEventListener('abort', stop);
  try {
    const response = await ask(listening, token, silent.signal);
    if (response.ok && response.body) return await read(listening, token, response.body, silent);
    return await refusal(listening, token, response);
  } catch {
    // The network, the silence, or whoever stopped listening.
    return { end: 'broken' };
  } finally {
    listening.signal.removeEventListener('abort', stop);
    silent.abort();
  }
}

async function ask(
  { platform, url, lastId }: Listening,
  token: string,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = {
    Accept: 'text/event-stream',
    Authorization: `Bearer ${token}`,
    'X-Requested-With': 'XMLHttpRequest',
  };
  if (lastId !== undefined) headers['Last-Event-ID'] = lastId;
  const done = new AbortController();
  const answer = platform.fetch(url, { headers, credentials: 'include', cache: 'no-store', signal });
  const late = pause(SILENCE_MS, done.signal).then(() => {
    throw new Error('The event stream was not opened in time.');
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    late.catch(() => undefined);
    done.abort();
  }
}

async function read(
  listening: Listening,
  token: string,
  body: ReadableStream<Uint8Array>,
  silent: AbortController,
): Promise<Round> {
  const events = new EventReader(listening.lastId);
  const reader = body.getReader();
  listening.opened();
  const cancel = () => void reader.cancel().catch(() => undefined);
  silent.signal.addEventListener('abort', cancel);
  try {
    for (;;) {
      const watch = setTimeout(() => {
        silent.abort();
      }, SILENCE_MS);
      const { done, value } = await reader.read().finally(() => {
        clearTimeout(watch);
      });
      if (done) return { end: 'broken', retry: events.retry };
      const came = events.feed(value);
      const told = came.flatMap((event) => liveEvent(event) ?? []);
      listening.heard({ events: told, lastId: events.lastId });
      const end = came.find((event) => event.name === 'end');
      if (end) return await ended(listening, token, endKind(end));
    }
  } finally {
    silent.signal.removeEventListener('abort', cancel);
    cancel();
  }
}

async function refusal(listening: Listening, token: string, response: Response): Promise<Round> {
  const body: unknown = await response.json().catch(() => undefined);
  const kind = problemIn(body)?.kind;
  if (response.status === 401) return ended(listening, token, kind);
  if ([403, 404, 405].includes(response.status)) return { end: 'refused' };
  const wait = askedWait(response.headers.get('retry-after'), listening.platform.now());
  return { end: 'broken', wait };
}

/** What to do when the server says that the token is not good any more. */
async function ended(
  { session, platform }: Listening,
  token: string,
  kind: ProblemKind | undefined,
): Promise<Round> {
  if (kind === 'session-expired' || kind === 'unauthenticated') return renewed(session, platform, token);
  if (kind === 'session-ended') {
    if (session.token === token) session.signedOut('session-ended');
    return { end: 'renewed' };
  }
  const isFinal = kind === 'forbidden' || kind === 'insufficient-scope';
  return { end: isFinal ? 'refused' : 'broken' };
}

async function renewed(session: Session, platform: Platform, refused: string | undefined): Promise<Round> {
  const renewal = await session.renew(refused);
  if (renewal.outcome === 'unavailable') {
    return { end: 'broken', wait: Math.max(renewal.retryAt - platform.now(), 0) };
  }
  return { end: 'renewed' };
}

function liveEvent({ name, data }: ServerSentEvent): LiveEvent | undefined {
  // What a newer server tells beside these is for newer clients.
  if (name === 'gap') return { type: 'gap' };
  if (name !== 'connection' && name !== 'app') return undefined;
  try {
    const parsed: unknown = JSON.parse(data);
    return { type: name, data: parsed } as LiveEvent;
  } catch {
    return { type: 'gap' };
  }
}

function endKind({ data }: ServerSentEvent): ProblemKind | undefined {
  try {
    const { problem } = JSON.parse(data) as { problem?: unknown };
    return problemIn({ type: `https://evergrant.dev/problems/${String(problem)}` })?.kind;
  } catch {
    return undefined;
  }
}
