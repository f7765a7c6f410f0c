/** Receivers of webhooks, what they were told, and what operators do to them. */

import { keepPreviousData, queryOptions, useMutation } from '@tanstack/react-query';

import { sentence, type Words } from '../../lib/words';
import api from '../../services/api';
import { DELIVERY_FILTERS, type DeliverySearch, filled } from './filters';
import { EVERY_MS, OPS, PAGE_SIZE, useReadAgain } from './queries';
import type {
  AuditPage,
  Delivery,
  DeliveryPage,
  Endpoint,
  EndpointList,
  EndpointWithSecret,
  EventType,
  ReplayedWebhooks,
  Tried,
} from './shapes';

export const EVENTS: Record<EventType, { readonly label: string; readonly meaning: string }> = {
  'connection.needs_reauth': {
    label: 'Reconnect needed',
    meaning: 'A grant has ended: its user has to consent again.',
  },
  'connection.recovered': {
    label: 'Connection well again',
    meaning: 'One that was failing, or needed a consent, is active again.',
  },
  'connection.failing': {
    label: 'Connection failing',
    meaning: 'Attempts were given up for now; slow retries go on.',
  },
  'connection.expiring': {
    label: 'Consent ends soon',
    meaning: 'In 30, 14, 7 or 1 days; each is told once.',
  },
  'app.fault': {
    label: 'Provider app at fault',
    meaning: 'A provider refuses our own client id or secret.',
  },
  'app.recovered': { label: 'Provider app well again', meaning: 'That is over.' },
};

export const EVENT_TYPES = Object.keys(EVENTS) as readonly EventType[];

export const eventLabel = (type: string) =>
  Object.hasOwn(EVENTS, type) ? EVENTS[type as EventType].label : sentence(type.replaceAll('.', ' '));

/** What an endpoint is told, in a line. */
export const toldOf = (events: readonly string[]) =>
  events.length === 0 ? 'Everything' : events.map(eventLabel).join(', ');

/** How an endpoint stands, and what to do about it. */
export function endpointWords({
  state,
  disabled_reason: reason,
  failing_since,
}: Pick<Endpoint, 'state' | 'disabled_reason' | 'failing_since'>): Words {
  if (state === 'disabled') {
    switch (reason) {
      case 'gone':
        return {
          label: 'Disabled: gone',
          tone: 'bad',
          meaning:
            'It answered 410 Gone, which says that nobody listens there any more. Correct its address and enable it, or delete it.',
        };
      case 'failing':
        return {
          label: 'Disabled: failing',
          tone: 'bad',
          meaning:
            'Nothing but failures came of it for days. Mend the receiver, send a test, enable it, and replay what it missed.',
        };
      default:
        return {
          label: 'Disabled',
          tone: 'neutral',
          meaning: 'An operator disabled it: it is told nothing until it is enabled.',
        };
    }
  }
  if (failing_since) {
    return {
      label: 'Failing',
      tone: 'warn',
      meaning:
        'The last tries failed. Each message is tried again for days; an endpoint that only fails is disabled in the end.',
    };
  }
  return { label: 'Enabled', tone: 'good', meaning: 'It is told what happens.' };
}

export const DELIVERY_STATES: Record<Delivery['state'], Words> = {
  pending: { label: 'On its way', tone: 'info', meaning: 'It is being delivered, or tried again later.' },
  delivered: { label: 'Delivered', tone: 'good', meaning: 'The receiver took it.' },
  failed: { label: 'Given up', tone: 'bad', meaning: 'Every try failed. It can be replayed.' },
};

/** What came of a try, in a line. */
export function tryLine({ status, message, duration_ms: ms }: Tried | NonNullable<Delivery['last']>): string {
  const after = `after ${ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`}`;
  if (typeof status !== 'number') return `No answer ${after}: ${message}`;
  return message === '' ? `${status} ${after}` : `${status} ${after}: ${message}`;
}

const WEBHOOKS = [...OPS, 'webhooks'] as const;
const pathOf = (id: string) => `/ops/webhooks/${encodeURIComponent(id)}`;

export const endpointsQuery = queryOptions({
  queryKey: [...WEBHOOKS, 'list'],
  queryFn: async ({ signal }) => (await api.get<EndpointList>('/ops/webhooks', { signal })).data.items,
  refetchInterval: EVERY_MS,
});

export function endpointQuery(id: string) {
  return queryOptions({
    queryKey: [...WEBHOOKS, 'one', id],
    queryFn: async ({ signal }) => (await api.get<Endpoint>(pathOf(id), { signal })).data,
    refetchInterval: EVERY_MS,
  });
}

/** While something is on its way, somebody waits to see it arrive. */
const WAITING_MS = 3_000;

export function deliveriesQuery(id: string, search: DeliverySearch) {
  const params = filled([...DELIVERY_FILTERS, 'after'], search);
  return queryOptions({
    queryKey: [...WEBHOOKS, 'deliveries', id, params],
    queryFn: async ({ signal }) =>
      (
        await api.get<DeliveryPage>(`${pathOf(id)}/deliveries`, {
          params: { ...params, limit: PAGE_SIZE },
          signal,
        })
      ).data,
    refetchInterval: ({ state: { data } }) =>
      data?.items.some(({ state }) => state === 'pending') ? WAITING_MS : EVERY_MS,
    placeholderData: keepPreviousData,
  });
}

export function auditQuery(subject: string) {
  return queryOptions({
    queryKey: [...OPS, 'audit', subject],
    queryFn: async ({ signal }) =>
      (await api.get<AuditPage>('/ops/audit', { params: { subject, limit: 20 }, signal })).data.items,
    refetchInterval: EVERY_MS,
  });
}

/** What an endpoint is made of, as the form has it. */
export interface EndpointForm {
  readonly url: string;
  readonly description: string;
  readonly events: readonly EventType[];
}

/** Only what differs: what is not named stays. `undefined`: nothing differs. */
export function changes(before: Endpoint, now: EndpointForm): Partial<EndpointForm> | undefined {
  const isSame =
    before.events.length === now.events.length && now.events.every((e) => before.events.includes(e));
  const found = {
    ...(now.url === before.url ? {} : { url: now.url }),
    ...(now.description === before.description ? {} : { description: now.description }),
    ...(isSame ? {} : { events: now.events }),
  };
  return Object.keys(found).length === 0 ? undefined : found;
}

// What fails is told in the dialog that asked for it: it lies above everything that is told elsewhere.

/** The secret is in the answer, so that nothing keeps it: not the cache either. */
const NOT_KEPT = { gcTime: 0 } as const;

export function useCreateEndpoint() {
  const readAgain = useReadAgain();
  return useMutation({
    ...NOT_KEPT,
    mutationFn: async (make: EndpointForm & { reason: string }) =>
      (await api.post<EndpointWithSecret>('/ops/webhooks', make)).data,
    onSuccess: readAgain,
  });
}

export function useRotateSecret(id: string) {
  const readAgain = useReadAgain();
  return useMutation({
    ...NOT_KEPT,
    mutationFn: async (reason: string) =>
      (await api.post<EndpointWithSecret>(`${pathOf(id)}/rotate-secret`, { reason })).data,
    onSuccess: readAgain,
  });
}

export function useChangeEndpoint(id: string) {
  const readAgain = useReadAgain();
  return useMutation({
    mutationFn: async (change: Partial<EndpointForm> & { enabled?: boolean; reason: string }) =>
      (await api.patch<Endpoint>(pathOf(id), change)).data,
    onSuccess: readAgain,
  });
}

/** What is deleted is not read again while its page is still there: that would only be a refusal. */
export function useDeleteEndpoint(id: string, leave: () => Promise<void>) {
  const readAgain = useReadAgain();
  return useMutation({
    mutationFn: async () => {
      await api.delete(pathOf(id));
    },
    onSuccess: async () => {
      await leave();
      await readAgain();
    },
  });
}

export function useTestEndpoint(id: string) {
  const readAgain = useReadAgain();
  return useMutation({
    mutationFn: async () => (await api.post<Tried>(`${pathOf(id)}/test`, {})).data,
    onSettled: readAgain,
  });
}

/** One message, or all that was missed since a time. */
export type Again = { readonly message: string } | { readonly since: string };

export function useReplayWebhooks(id: string) {
  const readAgain = useReadAgain();
  return useMutation({
    mutationFn: async ({ again, reason }: { again: Again; reason: string }) => {
      if ('message' in again) {
        const path = `${pathOf(id)}/deliveries/${encodeURIComponent(again.message)}/replay`;
        return (await api.post<ReplayedWebhooks>(path, { reason })).data;
      }
      return (await api.post<ReplayedWebhooks>(`${pathOf(id)}/replay`, { ...again, reason })).data;
    },
    onSettled: readAgain,
  });
}
