/** The connections as pages ask for them and act on them. */

import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';

import { toasts } from '../components/toasts';
import { problemLine } from '../lib/problemWords';
import { leaveFor } from '../lib/redirect';
import { accountWords, type Connection } from '../lib/words';
import api, { type components } from '../services/api';

type Page = components['schemas']['ConnectionPage'];
type Attempts = components['schemas']['Attempts'];
type ConsentPage = components['schemas']['ConsentPage'];
type Pending = components['schemas']['Pending'];
type Refreshed = components['schemas']['Refreshed'];

/** Everything about connections is below this key: a live event makes it all be read again. */
export const CONNECTIONS = ['connections'] as const;

const PAGE_SIZE = 50;

/** A user's own connections, also for an admin, who might see those of all. */
export function ownConnectionsQuery(user: string) {
  return infiniteQueryOptions({
    queryKey: [...CONNECTIONS, 'own', user],
    queryFn: async ({ pageParam, signal }) => {
      const params = { user, limit: PAGE_SIZE, after: pageParam };
      return (await api.get<Page>('/connections', { params, signal })).data;
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  });
}

/** Those whose grant has ended, for the banner: a page of many connections must not hide one. */
export function endedConnectionsQuery(user: string) {
  return queryOptions({
    queryKey: [...CONNECTIONS, 'ended', user],
    queryFn: async ({ signal }) => {
      const params = { user, state: 'needs_reauth', limit: PAGE_SIZE };
      return (await api.get<Page>('/connections', { params, signal })).data;
    },
    // Live events tell it at once; this is for when they cannot.
    refetchInterval: 60_000,
  });
}

export function connectionQuery(id: string) {
  return queryOptions({
    queryKey: [...CONNECTIONS, 'one', id],
    queryFn: async ({ signal }) =>
      (await api.get<Connection>(`/connections/${encodeURIComponent(id)}`, { signal })).data,
  });
}

export function attemptsQuery(id: string) {
  return queryOptions({
    queryKey: [...CONNECTIONS, 'attempts', id],
    queryFn: async ({ signal }) => {
      const path = `/connections/${encodeURIComponent(id)}/attempts`;
      return (await api.get<Attempts>(path, { params: { limit: 50 }, signal })).data;
    },
  });
}

const explain = (error: unknown) => {
  toasts.show('bad', problemLine(error));
};

/** Asks for a refresh now. */
export function useRefreshNow() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ id }: Connection) =>
      (await api.post<Refreshed | Pending>(`/connections/${encodeURIComponent(id)}/force-refresh`)).data,
    onSuccess: ({ outcome }, connection) => {
      const { name } = accountWords(connection);
      if (outcome === 'refreshed') toasts.show('good', `${name} has a new token.`);
      else toasts.show('info', `The refresh of ${name} goes on. This page shows when it is done.`);
    },
    onError: explain,
    onSettled: () => {
      // Not waited for: what was asked for is done, or not, by now.
      void queries.invalidateQueries({ queryKey: CONNECTIONS });
    },
  });
}

/** Leaves for the consent page to renew one connection. */
export function useReconnect() {
  return useMutation({
    mutationFn: async ({ id }: Pick<Connection, 'id'>) => {
      const path = `/connections/${encodeURIComponent(id)}/reconnect`;
      leaveFor((await api.post<ConsentPage>(path)).data.auth_url);
    },
    onError: explain,
  });
}

/** Leaves for the consent page to connect one more account. */
export function useConnectAnother() {
  return useMutation({
    mutationFn: async () => {
      const params = { connect: true, redirect_uri: '/connections' };
      leaveFor((await api.get<ConsentPage>('/auth/amazon/login', { params })).data.auth_url);
    },
    onError: explain,
  });
}

/** Takes a connection away. */
export function useDisconnect() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ id }: Connection) => {
      await api.post(`/connections/${encodeURIComponent(id)}/disconnect`);
    },
    onSuccess: (_, connection) => {
      toasts.show('good', `${accountWords(connection).name} is disconnected. Its tokens are deleted here.`);
    },
    onError: explain,
    onSettled: () => {
      // Not waited for: what was asked for is done, or not, by now.
      void queries.invalidateQueries({ queryKey: CONNECTIONS });
    },
  });
}
