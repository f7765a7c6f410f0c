/** The session: its access token, held in memory only, and the one refresh that all who need a new one share. */

import type { AxiosInstance } from 'axios';

import { askedWait, backoff, pause } from './backoff.js';
import type { ClientEvents, Emitter, SignedOutReason } from './events.js';
import type { Channel, Platform } from './platform.js';
import { type ProblemKind, problemIn, SessionUnavailable } from './problems.js';
import { inOneTab } from './tabs.js';

/** Of the lock as well as of the channel. */
const CHANNEL = 'evergrant-session';

/** The server answers within a few seconds, whatever the provider does. */
const REFRESH_TIMEOUT_MS = 15_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;

/** `unknown`: the cookie may hold a session; only the server can tell. */
export type SessionState = 'unknown' | 'signed-in' | 'signed-out';

/** What came of asking for another token than the one that was refused. */
export type Renewal =
  | { readonly outcome: 'renewed'; readonly token: string }
  | { readonly outcome: 'signed-out' }
  | { readonly outcome: 'unavailable'; readonly retryAt: number };

interface Token {
  readonly text: string;
  /** Milliseconds since 1970, by the clock that all tabs share. */
  readonly expiresAt: number;
}

/** What tabs tell each other. */
type Message =
  | { type: 'refreshed' | 'signed-in'; token: Token }
  | { type: 'signed-out'; reason: SignedOutReason }
  | { type: 'unavailable'; retryAt: number };

type Answer =
  | { kind: 'token'; token: Token }
  | { kind: 'over'; reason: SignedOutReason }
  | { kind: 'failed'; wait: number | undefined };

export class Session {
  readonly #platform: Platform;
  readonly #events: Emitter<ClientEvents>;
  readonly #urlOf: (path: string) => string;
  #state: SessionState = 'unknown';
  #token: Token | undefined;
  /** Counts sign-ins and sign-outs: what a refresh brings that began before one of them is worth nothing. */
  #epoch = 0;
  #flight: Promise<Renewal> | undefined;
  /** Takes what another tab tells, while a refresh is under way here. */
  #hear: ((told: Renewal) => void) | undefined;
  /** Failures in a row, and tokens that were refused as soon as they came. */
  #failures = 0;
  #retryAt = 0;
  #channel: Channel | undefined;

  constructor(platform: Platform, events: Emitter<ClientEvents>, urlOf: (path: string) => string) {
    this.#platform = platform;
    this.#events = events;
    this.#urlOf = urlOf;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** The present access token. */
  get token(): string | undefined {
    return this.#token?.text;
  }

  /** Hears the other tabs from now on. Importing the client opens nothing; its first use does. */
  join(): void {
    if (this.#channel || !this.#platform.openChannel) return;
    this.#channel = this.#platform.openChannel(CHANNEL);
    this.#channel.onmessage = (event: MessageEvent<Message>) => {
      this.#heard(event.data);
    };
  }

  /** Hears nothing any more. */
  leave(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  /**
   * A token that is not `refused`. At most one refresh is under way, in all tabs together; none is begun if there is
   * another token already. Never fails, and settles on every path.
   */
  renew(refused: string | undefined): Promise<Renewal> {
    this.join();
    const now = this.#asItStands(refused);
    if (now) return Promise.resolve(now);
    this.#flight ??= this.#fly(refused).finally(() => {
      this.#flight = undefined;
      this.#hear = undefined;
    });
    return this.#flight;
  }

  /**
   * Finds out whether somebody is signed in, after a reload or after the consent page: the cookie is worth a token.
   * Throws [`SessionUnavailable`] if that cannot be told now.
   */
  async restore(): Promise<'signed-in' | 'signed-out'> {
    if (this.#token) return 'signed-in';
    if (this.#state === 'signed-out') this.#state = 'unknown';
    const renewal = await this.renew(undefined);
    if (renewal.outcome === 'unavailable') throw new SessionUnavailable(renewal.retryAt);
    return renewal.outcome === 'renewed' ? 'signed-in' : 'signed-out';
  }

  /** Takes the token of a sign-in, in every tab. `body` is what the API answered. */
  signedIn(body: unknown): void {
    const token = this.#tokenIn(body);
    if (!token) return;
    this.#epoch += 1;
    this.#take(token, 'signed-in');
    this.#tell({ type: 'signed-in', token });
  }

  /** Takes the token of a refresh that somebody else made. */
  refreshed(body: unknown): void {
    const token = this.#tokenIn(body);
    if (!token) return;
    this.#settle(token);
  }

  /** Ends the session here and in every other tab. Told once, however many requests find out. */
  signedOut(reason: SignedOutReason): void {
    if (this.#end(reason)) this.#tell({ type: 'signed-out', reason });
  }

  /** A request with the present token went well. */
  worked(): void {
    this.#failures = 0;
  }

  /** A token was refused that had just come: another would be refused as well, so the next refresh waits. */
  doubted(token: string | undefined): void {
    const isWaiting = this.#platform.now() < this.#retryAt;
    if (token !== undefined && token === this.#token?.text && !isWaiting) this.#fail(undefined);
  }

  #asItStands(refused: string | undefined): Renewal | undefined {
    if (this.#token && this.#token.text !== refused) return { outcome: 'renewed', token: this.#token.text };
    if (this.#state === 'signed-out') return { outcome: 'signed-out' };
    if (this.#platform.now() < this.#retryAt) return this.#unavailable();
    return undefined;
  }

  async #fly(refused: string | undefined): Promise<Renewal> {
    const heard = new Promise<Renewal>((resolve) => {
      this.#hear = resolve;
    });
    const { locks } = this.#platform;
    return inOneTab(locks, async () => this.#asItStands(refused) ?? (await this.#refresh(refused)), heard);
  }

  async #refresh(refused: string | undefined): Promise<Renewal> {
    const epoch = this.#epoch;
    const answer = await this.#ask();
    if (epoch !== this.#epoch) {
      // Somebody signed in or out meanwhile. What they got counts.
      return this.#asItStands(refused) ?? this.#unavailable();
    }
    switch (answer.kind) {
      case 'token':
        this.#settle(answer.token);
        return { outcome: 'renewed', token: answer.token.text };
      case 'over':
        this.signedOut(answer.reason);
        return { outcome: 'signed-out' };
      case 'failed':
        this.#fail(answer.wait);
        this.#tell({ type: 'unavailable', retryAt: this.#retryAt });
        return this.#unavailable();
    }
  }

  /** The one call that makes a new token. It goes by no adapter, so that its own refusal starts nothing. */
  async #ask(): Promise<Answer> {
    const done = new AbortController();
    const late = pause(REFRESH_TIMEOUT_MS, done.signal).then((): Answer => {
      return { kind: 'failed', wait: undefined };
    });
    try {
      return await Promise.race([this.#exchange(done.signal), late]);
    } catch {
      return { kind: 'failed', wait: undefined };
    } finally {
      done.abort();
    }
  }

  async #exchange(signal: AbortSignal): Promise<Answer> {
    const response = await this.#platform.fetch(this.#urlOf('/auth/refresh'), {
      method: 'POST',
      credentials: 'include',
      cache: 'no-store',
      headers: { Accept: 'application/json', 'X-Requested-With': 'XMLHttpRequest' },
      signal,
    });
    const body: unknown = await response.json().catch(() => undefined);
    const token = response.ok ? this.#tokenIn(body) : undefined;
    if (token) return { kind: 'token', token };
    if (response.status === 401) {
      const kind = refusalIn(body);
      const isNobody = this.#state === 'unknown' && kind === 'unauthenticated';
      if (kind) return { kind: 'over', reason: isNobody ? 'not-signed-in' : 'session-ended' };
    }
    return { kind: 'failed', wait: askedWait(response.headers.get('retry-after'), this.#platform.now()) };
  }

  #tokenIn(body: unknown): Token | undefined {
    if (typeof body !== 'object' || body === null) return undefined;
    const { access_token, expires_in } = body as { access_token?: unknown; expires_in?: unknown };
    if (typeof access_token !== 'string' || access_token === '') return undefined;
    const lives = typeof expires_in === 'number' ? expires_in * 1000 : 0;
    return { text: access_token, expiresAt: this.#platform.now() + lives };
  }

  /** Takes the token of a refresh and tells the others. */
  #settle(token: Token): void {
    const type = this.#state === 'signed-in' ? 'refreshed' : 'signed-in';
    this.#take(token, type);
    this.#tell({ type, token });
  }

  #take(token: Token, how: 'refreshed' | 'signed-in'): void {
    this.#token = token;
    this.#state = 'signed-in';
    this.#retryAt = 0;
    if (how === 'signed-in') this.#failures = 0;
    this.#events.emit(how === 'signed-in' ? 'signed-in' : 'session-refreshed', undefined);
  }

  #end(reason: SignedOutReason): boolean {
    this.#epoch += 1;
    this.#token = undefined;
    this.#retryAt = 0;
    this.#failures = 0;
    if (this.#state === 'signed-out') return false;
    this.#state = 'signed-out';
    this.#events.emit('signed-out', { reason });
    return true;
  }

  #fail(wait: number | undefined): void {
    this.#failures += 1;
    const own = backoff(this.#failures, FIRST_WAIT_MS, LONGEST_WAIT_MS, this.#platform.random());
    this.#retryAt = this.#platform.now() + (wait ?? own);
  }

  #unavailable(): Renewal {
    return { outcome: 'unavailable', retryAt: this.#retryAt };
  }

  #tell(message: Message): void {
    this.join();
    this.#channel?.postMessage(message);
  }

  /** What another tab tells. It is taken over, and settles a refresh that waits for its turn here. */
  #heard(message: Message): void {
    switch (message.type) {
      case 'signed-in':
        this.#epoch += 1;
        this.#take(message.token, 'signed-in');
        break;
      case 'refreshed':
        // A message may be overtaken by what happened after it.
        if (this.#state === 'signed-out') return;
        if (this.#token && this.#token.expiresAt > message.token.expiresAt) return;
        this.#take(message.token, this.#state === 'signed-in' ? 'refreshed' : 'signed-in');
        break;
      case 'signed-out':
        // A tab that was never signed in knows nothing about one that is.
        if (message.reason === 'not-signed-in' && this.#state === 'signed-in') return;
        this.#end(message.reason);
        break;
      case 'unavailable':
        this.#retryAt = Math.max(this.#retryAt, message.retryAt);
        this.#hear?.(this.#unavailable());
        return;
    }
    this.#hear?.(this.#token ? { outcome: 'renewed', token: this.#token.text } : { outcome: 'signed-out' });
  }
}

/** What a 401 of the API itself says. `undefined`: it comes from a proxy in between, and ends no session. */
function refusalIn(body: unknown): ProblemKind | undefined {
  const kind = problemIn(body)?.kind;
  if (kind !== undefined) return kind;
  // The original's API has no types, only this field.
  const isOriginal = typeof (body as { detail?: unknown } | null | undefined)?.detail === 'string';
  return isOriginal ? 'session-ended' : undefined;
}

/** The session as pages use it. */
export interface SessionControls {
  readonly state: SessionState;
  restore: Session['restore'];
  /** Ends the session at the server and in every tab; `everywhere`: in every browser too. */
  signOut: (options?: { everywhere?: boolean }) => Promise<void>;
}

/** Puts together what pages use. */
export function controls(session: Session, api: AxiosInstance): SessionControls {
  return {
    get state() {
      return session.state;
    },
    restore: () => session.restore(),
    signOut: async ({ everywhere = false } = {}) => {
      try {
        await api.post('/auth/logout', undefined, everywhere ? { params: { everywhere } } : {});
      } catch (error) {
        // A session that turns out to be over needs no end. One that goes on must not be shown as ended.
        if (session.state !== 'signed-out') throw error;
      }
    },
  };
}
