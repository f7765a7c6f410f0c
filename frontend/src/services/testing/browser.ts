/** One simulated browser for several tabs: locks, channels and the clock are shared; each tab has a client of its own. */

import { createClient, type Client } from '../client.js';
import type { ClientEvents } from '../events.js';
import type { Channel, Platform } from '../platform.js';
import type { FakeServer } from './server.js';

type Grant = (lock: Lock | null) => unknown;
interface Waiting {
  tab: Tab;
  grant: () => void;
}

/** Messages come this late: later than a lock that is let go, as they may in a real browser. In milliseconds. */
const MESSAGE_MS = 60;

export class FakeBrowser {
  readonly #held = new Map<string, Tab>();
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #channels = new Set<{ tab: Tab; name: string; channel: Channel }>();

  readonly server: FakeServer;

  constructor(server: FakeServer) {
    this.server = server;
  }

  openTab(given: Partial<Platform> = {}): Tab {
    return new Tab(this, given);
  }

  /** Opens several. */
  openTabs(count: number): Tab[] {
    return Array.from({ length: count }, () => this.openTab());
  }

  openChannel(tab: Tab, name: string): Channel {
    const channel: Channel = {
      onmessage: null,
      postMessage: (data: unknown) => {
        const others = [...this.#channels].filter(
          (other) => other.name === name && other.channel !== channel,
        );
        setTimeout(() => {
          for (const other of others) {
            if (!this.#channels.has(other) || other.tab.isDead) continue;
            other.channel.onmessage?.call(
              other.channel as BroadcastChannel,
              { data: structuredClone(data) } as MessageEvent,
            );
          }
        }, MESSAGE_MS);
      },
      close: () => {
        for (const own of this.#channels) if (own.channel === channel) this.#channels.delete(own);
      },
    };
    this.#channels.add({ tab, name, channel });
    return channel;
  }

  /** As `navigator.locks.request`, for exclusive locks. */
  async request(tab: Tab, name: string, options: LockOptions, grant: Grant): Promise<unknown> {
    await Promise.resolve();
    if (this.#held.has(name)) {
      if (options.ifAvailable) return grant(null);
      await this.#turn(tab, name, options.signal);
    }
    this.#held.set(name, tab);
    try {
      return await grant({ name, mode: 'exclusive' });
    } finally {
      if (!tab.isDead) this.#release(name);
    }
  }

  #turn(tab: Tab, name: string, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const queue = this.#waiting.get(name) ?? [];
      const own: Waiting = { tab, grant: resolve };
      this.#waiting.set(name, [...queue, own]);
      const leave = () => {
        const left = this.#waiting.get(name) ?? [];
        if (!left.includes(own)) return;
        this.#waiting.set(
          name,
          left.filter((other) => other !== own),
        );
        reject(new DOMException('The request was aborted.', 'AbortError'));
      };
      if (signal?.aborted) leave();
      signal?.addEventListener('abort', leave);
    });
  }

  #release(name: string): void {
    this.#held.delete(name);
    const queue = (this.#waiting.get(name) ?? []).filter((waiting) => !waiting.tab.isDead);
    const [next, ...rest] = queue;
    this.#waiting.set(name, rest);
    if (!next) return;
    // Nobody may slip in between.
    this.#held.set(name, next.tab);
    next.grant();
  }

  /** What happens to everything that a tab has when it dies. */
  bury(tab: Tab): void {
    for (const own of this.#channels) if (own.tab === tab) this.#channels.delete(own);
    for (const [name, holder] of this.#held) if (holder === tab) this.#release(name);
  }
}

export class Tab {
  readonly client: Client;
  /** Every event that it was told, in order. */
  readonly told: { name: keyof ClientEvents; what: unknown }[] = [];
  isDead = false;
  readonly #wakers = new Set<() => void>();

  readonly browser: FakeBrowser;

  constructor(browser: FakeBrowser, given: Partial<Platform>) {
    this.browser = browser;
    const locks = {
      request: (name: string, options: LockOptions, grant: Grant) =>
        browser.request(this, name, options, grant),
    } as Platform['locks'];
    this.client = createClient({
      baseURL: 'https://evergrant.test/api',
      platform: {
        fetch: (input, init) => this.#fetch(new Request(input, init)),
        locks,
        openChannel: (name) => browser.openChannel(this, name),
        random: () => 1,
        onWake: (wake) => {
          this.#wakers.add(wake);
          return () => void this.#wakers.delete(wake);
        },
        ...given,
      },
    });
    for (const name of ['signed-in', 'signed-out', 'session-refreshed', 'reauth-required'] as const) {
      this.client.on(name, (what) => this.told.push({ name, what }));
    }
  }

  get api() {
    return this.client.api;
  }

  /** The names of the events that it was told. */
  get heard(): string[] {
    return this.told.map(({ name }) => name);
  }

  /** As when the network comes back or the page is looked at again. */
  wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }

  /** Is gone from one moment to the next: nothing that it waits for ever comes. */
  die(): void {
    this.isDead = true;
    this.browser.bury(this);
  }

  async #fetch(request: Request): Promise<Response> {
    const response = await this.browser.server.answer(request);
    return this.isDead ? new Promise(() => undefined) : response;
  }
}
