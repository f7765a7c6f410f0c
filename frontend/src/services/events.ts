/** What the client tells the page. */

/** Every event and what it carries. */
export interface ClientEvents {
  /** Somebody is signed in who was not, here or in another tab: whatever is shown may be somebody else's. */
  'signed-in': undefined;
  /** The session is over, told once in every tab. */
  'signed-out': { readonly reason: SignedOutReason };
  /** The session goes on with a new access token. */
  'session-refreshed': undefined;
  /** A grant has ended: its user has to connect the account again. The session is well. */
  'reauth-required': {
    readonly connectionId: string | undefined;
    readonly reason: string | undefined;
    readonly detail: string;
  };
}

/** Why nobody is signed in; `not-signed-in`: nobody was, as far as this browser knows. */
export type SignedOutReason = 'session-ended' | 'by-user' | 'not-signed-in';

type Listener<T> = (told: T) => void;

/** Tells each event to whoever listens. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();

  /** Hears an event from now on; what is returned ends that. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  emit<Name extends keyof Events>(name: Name, told: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])] as Listener<Events[Name]>[]) {
      try {
        listener(told);
      } catch (error) {
        // What a page makes of an event must not keep a request from being answered.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
