/** Puts the client together. */

import axios, { type AxiosInstance, type InternalAxiosRequestConfig } from 'axios';

import { type ClientEvents, Emitter } from './events.js';
import { browser, type Platform } from './platform.js';
import { controls, Session, type SessionControls } from './session.js';
import { LiveEvents, type LiveStream } from './stream.js';
import { adapter } from './transport.js';

export interface ClientOptions {
  /** Where the API is; `/api` of the page's own origin if nothing is said. */
  baseURL?: string;
  /** What stands for the browser. For tests. */
  platform?: Partial<Platform>;
}

export interface Client {
  /** An axios instance like any other. */
  readonly api: AxiosInstance;
  readonly session: SessionControls;
  readonly live: LiveStream;
  /** Hears an event; what is returned ends that. */
  readonly on: <Name extends keyof ClientEvents>(
    name: Name,
    listener: (told: ClientEvents[Name]) => void,
  ) => () => void;
  /** Lets go of everything. For tests, and for apps that are taken off a page. */
  readonly close: () => void;
}

/** A client of its own. Most apps need only the one that `api.ts` exports. */
export function createClient({ baseURL = '/api', platform: given }: ClientOptions = {}): Client {
  const platform: Platform = { ...browser(), ...given };
  const events = new Emitter<ClientEvents>();
  const base = () => new URL(`${baseURL.replace(/\/+$/, '')}/`, platform.pageUrl());
  const urlOf = (path: string) => new URL(path.replace(/^\/+/, ''), base()).href;
  const session = new Session(platform, events, urlOf);
  const live = new LiveEvents(platform, session, events, urlOf);
  const api = axios.create({
    baseURL,
    // The session's cookie belongs to the API's origin, which need not be the page's.
    withCredentials: true,
    env: { fetch: (input, init) => platform.fetch(input, init) },
  });
  const pathOf = (config: InternalAxiosRequestConfig): string | undefined => {
    const { origin, pathname } = base();
    const url = new URL(api.getUri(config), platform.pageUrl());
    const isBelow = url.origin === origin && url.pathname.startsWith(pathname);
    return isBelow ? url.pathname.slice(pathname.length - 1) : undefined;
  };
  api.defaults.adapter = adapter({
    platform,
    session,
    events,
    // The one that reads streams too, so that requests and live events go the same way.
    send: (config) => axios.getAdapter('fetch', config)(config),
    pathOf,
  });
  return {
    api,
    session: controls(session, api),
    live,
    on: (name, listener) => {
      session.join();
      return events.on(name, listener);
    },
    close: () => {
      live.close();
      session.leave();
    },
  };
}
