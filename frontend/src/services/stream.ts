/**
 * Live events: one stream for all tabs. A browser opens six connections to a host at most, and a stream in each tab
 * would take them all; so one tab holds it, tells the others, and when it goes another resumes where it was.
 */

import { backoff, pause } from './backoff.js';
import type { ClientEvents, Emitter } from './events.js';
import { type Heard, listenOnce, type Round } from './listen.js';
import type { Channel, Platform } from './platform.js';
import type { components } from './schema.js';
import type { Session } from './session.js';

const NAME = 'evergrant-live';
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** A stream that lived this long was well, and its end is no failure. */
const WELL_MS = 5_000;

/** What comes. Each is a hint: read the connection again, it is the truth. `gap`: read everything again. */
export type LiveEvent =
  | { readonly type: 'connection'; readonly data: components['schemas']['ConnectionEvent'] }
  | { readonly type: 'app'; readonly data: components['schemas']['AppEvent'] }
  | { readonly type: 'gap' };

/** `off`: nobody listens or nobody is signed in; `waiting`: it broke and is opened again at `retryAt`. */
export type LiveState =
  { readonly is: 'off' | 'connecting' | 'live' } | { readonly is: 'waiting'; readonly retryAt: number };

/** The live events as pages use them. */
export interface LiveStream {
  readonly state: LiveState;
  /** Hears events from now on; the first listener opens the stream, and the last that leaves closes it. */
  subscribe: (listener: (event: LiveEvent) => void) => () => void;
  /** Hears how the stream stands. */
  onState: (listener: (state: LiveState) => void) => () => void;
}

/** What the tab with the stream and the others tell each other. */
type Message =
  | { type: 'hello' }
  | { type: 'state'; state: LiveState }
  | { type: 'heard'; events: readonly LiveEvent[]; lastId: string | undefined };

export class LiveEvents implements LiveStream {
  readonly #platform: Platform;
  readonly #session: Session;
  readonly #events: Emitter<ClientEvents>;
  readonly #url: () => string;
  readonly #listeners = new Set<(event: LiveEvent) => void>();
  readonly #stateListeners = new Set<(state: LiveState) => void>();
  #state: LiveState = { is: 'off' };
  #lastId: string | undefined;
  #running: AbortController | undefined;
  #channel: Channel | undefined;
  #isLeading = false;

  constructor(
    platform: Platform,
    session: Session,
    events: Emitter<ClientEvents>,
    urlOf: (path: string) => string,
  ) {
    this.#platform = platform;
    this.#session = session;
    this.#events = events;
    this.#url = () => urlOf('/events');
  }

  get state(): LiveState {
    return this.#state;
  }

  subscribe(listener: (event: LiveEvent) => void): () => void {
    // A function of its own, so that the same one may listen twice.
    const own = (event: LiveEvent) => {
      listener(event);
    };
    this.#listeners.add(own);
    if (!this.#running) this.#start();
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size === 0) this.close();
    };
  }

  onState(listener: (state: LiveState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => void this.#stateListeners.delete(listener);
  }

  close(): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#channel?.close();
    this.#channel = undefined;
    this.#lastId = undefined;
    this.#show({ is: 'off' });
  }

  #start(): void {
    const running = new AbortController();
    const { signal } = running;
    const { locks, openChannel } = this.#platform;
    this.#running = running;
    this.#session.join();
    this.#show({ is: 'connecting' });
    if (!locks || !openChannel) {
      void this.#lead(signal);
      return;
    }
    this.#channel = openChannel(NAME);
    this.#channel.onmessage = (event: MessageEvent<Message>) => {
      this.#told(event.data);
    };
    this.#channel.postMessage({ type: 'hello' } satisfies Message);
    locks
      .request(NAME, { signal }, () => this.#lead(signal))
      .catch(() => {
        // Nobody listens any more; or the browser gives no locks here, and each tab is on its own.
        if (!signal.aborted) void this.#lead(signal);
      });
  }

  #told(message: Message): void {
    switch (message.type) {
      case 'hello':
        if (this.#isLeading) this.#tell({ type: 'state', state: this.#state });
        break;
      case 'state':
        if (!this.#isLeading) this.#show(message.state);
        break;
      case 'heard':
        if (!this.#isLeading) this.#heard(message);
        break;
    }
  }

  /** Holds the stream until nobody here listens any more. */
  async #lead(signal: AbortSignal): Promise<void> {
    this.#isLeading = true;
    let failures = 0;
    try {
      while (!signal.aborted) {
        const round = new AbortController();
        const cut = () => {
          round.abort();
        };
        // Whoever signs in or out is to be listened to as who they are now.
        const offs = [this.#events.on('signed-in', cut), this.#events.on('signed-out', cut)];
        signal.addEventListener('abort', cut);
        try {
          failures = await this.#round(round.signal, failures);
        } finally {
          offs.forEach((off) => {
            off();
          });
          signal.removeEventListener('abort', cut);
        }
      }
    } finally {
      this.#isLeading = false;
    }
  }

  /** One stream from its opening to its end, and the wait for the next. Returns how many failed in a row. */
  async #round(signal: AbortSignal, failures: number): Promise<number> {
    if (this.#session.state === 'signed-out') {
      this.#announce({ is: 'off' });
      await untilAborted(signal);
      return 0;
    }
    if (this.#state.is === 'off') this.#announce({ is: 'connecting' });
    const begun = this.#platform.now();
    const round = await listenOnce({
      platform: this.#platform,
      session: this.#session,
      url: this.#url(),
      lastId: this.#lastId,
      signal,
      opened: () => {
        this.#announce({ is: 'live' });
      },
      heard: (told) => {
        this.#pass(told);
      },
    });
    if (signal.aborted) return 0;
    const wasWell = this.#platform.now() - begun >= WELL_MS;
    const failed = wasWell ? 1 : failures + 1;
    if (round.end === 'refused') {
      this.#announce({ is: 'off' });
      await untilAborted(signal);
      return 0;
    }
    await this.#wait(round, failed, signal);
    return failed;
  }

  async #wait(round: Round, failed: number, signal: AbortSignal): Promise<void> {
    // A session that was renewed is worth a try at once, but not again and again.
    if (round.end === 'renewed' && failed === 1) return;
    const { now, random, onWake } = this.#platform;
    const first = Math.max(round.retry ?? 0, FIRST_WAIT_MS);
    const wait = Math.max(round.wait ?? 0, backoff(failed, first, LONGEST_WAIT_MS, random()));
    this.#announce({ is: 'waiting', retryAt: now() + wait });
    const wakeUp = new AbortController();
    const wake = () => {
      wakeUp.abort();
    };
    // What a server asks for is kept to, whoever comes back to the page.
    const off = round.wait === undefined ? onWake(wake) : undefined;
    signal.addEventListener('abort', wake);
    await pause(wait, wakeUp.signal);
    signal.removeEventListener('abort', wake);
    off?.();
  }

  #pass(told: Heard): void {
    const message = { type: 'heard', ...told } as const;
    this.#tell(message);
    this.#heard(message);
  }

  #heard({ events, lastId }: Heard): void {
    this.#lastId = lastId;
    for (const event of events) {
      for (const listener of [...this.#listeners]) listener(event);
    }
  }

  #announce(state: LiveState): void {
    this.#show(state);
    this.#tell({ type: 'state', state });
  }

  #show(state: LiveState): void {
    this.#state = state;
    for (const listener of [...this.#stateListeners]) listener(state);
  }

  #tell(message: Message): void {
    this.#channel?.postMessage(message);
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}
