/** What the client needs of the browser. Tests give several clients parts of one simulated browser. */

export type Channel = Pick<BroadcastChannel, 'postMessage' | 'close' | 'onmessage'>;

export interface Platform {
  fetch: typeof fetch;
  /** Missing where the page is not served securely: then each tab is on its own. */
  locks: Pick<LockManager, 'request'> | undefined;
  openChannel: ((name: string) => Channel) | undefined;
  /** Milliseconds since 1970. */
  now: () => number;
  /** A number from 0 to 1. */
  random: () => number;
  /** The page's own address, which relative ones are read against. */
  pageUrl: () => string | undefined;
  /** Tells when a try is likelier to succeed than a moment ago; what is returned ends that. */
  onWake: (wake: () => void) => () => void;
}

/** The browser that this runs in. Nothing is opened before it is needed: importing the client does nothing. */
export function browser(): Platform {
  return {
    // Looked up at each call, so that whoever wraps the global one later is not passed by.
    fetch: (input, init) => globalThis.fetch(input, init),
    // In spite of its type it is missing in old browsers and on pages that are not secure.
    locks: (globalThis.navigator as Navigator | undefined)?.locks,
    openChannel:
      typeof BroadcastChannel === 'undefined' || typeof document === 'undefined'
        ? undefined
        : (name) => new BroadcastChannel(name),
    now: () => Date.now(),
    random: () => Math.random(),
    pageUrl: () => (globalThis.location as Location | undefined)?.href,
    onWake: (wake) => {
      if (typeof document === 'undefined') return () => undefined;
      const seen = () => {
        if (!document.hidden) wake();
      };
      addEventListener('online', wake);
      document.addEventListener('visibilitychange', seen);
      return () => {
        removeEventListener('online', wake);
        document.removeEventListener('visibilitychange', seen);
      };
    },
  };
}
