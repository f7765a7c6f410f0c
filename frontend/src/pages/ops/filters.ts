/** Filters as they are in the address, as they are asked for, and as they are in a body. */

export const CONNECTION_FILTERS = ['text', 'state', 'reason', 'provider', 'user', 'expired'] as const;
export const JOB_FILTERS = [
  'state',
  'kind',
  'provider',
  'verdict',
  'code',
  'user',
  'connection',
  'since',
  'until',
  'text',
] as const;

export const DELIVERY_FILTERS = ['state', 'type'] as const;

export const USAGE_FILTERS = ['days', 'by', 'user'] as const;

export type ConnectionSearch = Partial<Record<(typeof CONNECTION_FILTERS)[number] | 'after', string>>;
export type JobSearch = Partial<Record<(typeof JOB_FILTERS)[number] | 'after', string>>;

export type DeliverySearch = Partial<Record<(typeof DELIVERY_FILTERS)[number] | 'after', string>>;

/** What the API calls the filter of a body. */
export interface JobFilter {
  states?: string[];
  kind?: string;
  provider?: string;
  verdict?: string;
  code?: string;
  user?: string;
  connection?: string;
  since?: string;
  until?: string;
  text?: string;
}

/** What the API calls the filter of connections in a body. */
export interface RefreshFilter {
  states?: string[];
  reason?: string;
  provider?: string;
  user?: string;
  text?: string;
  expired?: true;
}

/** Only what is filled in, without blanks around it. */
export function filled<Name extends string>(
  names: readonly Name[],
  given: Partial<Record<Name, string | undefined>>,
): Partial<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = given[name]?.trim();
    if (value) found[name] = value;
  }
  return found;
}

/** What is asked of the API for a page of connections. */
export function connectionParams(search: ConnectionSearch): Record<string, string> {
  const { expired, ...others } = filled([...CONNECTION_FILTERS, 'after'], search);
  return expired === 'true' ? { ...others, expired } : { ...others };
}

/** What is asked of the API for a page of failed jobs: those that are open, unless the address says otherwise. */
export function jobParams(search: JobSearch): Record<string, string> {
  const { state = 'open', ...others } = filled([...JOB_FILTERS, 'after'], search);
  return state === 'all' ? { ...others } : { ...others, state };
}

/** The same filter for a body. Only open ones can be dealt with, whatever is shown. */
export function jobFilter(search: JobSearch): JobFilter {
  const others = filled(
    JOB_FILTERS.filter((name) => name !== 'state'),
    search,
  );
  return { ...others, states: ['open'] };
}

/** The filter of a list of connections for a body: what is refreshed is what is shown, on all pages. */
export function refreshFilter(search: ConnectionSearch): RefreshFilter {
  const { state, expired, ...others } = filled(CONNECTION_FILTERS, search);
  return {
    ...others,
    ...(state === undefined ? {} : { states: state.split(',') }),
    ...(expired === 'true' ? { expired: true } : {}),
  };
}

/** Whether anything but the state narrows the list. */
export function isNarrowed(search: JobSearch): boolean {
  return Object.keys(filled(JOB_FILTERS, search)).some((name) => name !== 'state');
}

/** A time of the address as the browser's field for times wants it: local, to the minute. */
export function toField(time: string | undefined): string {
  const at = time === undefined ? NaN : Date.parse(time);
  if (Number.isNaN(at)) return '';
  const offset = new Date(at).getTimezoneOffset() * 60_000;
  return new Date(at - offset).toISOString().slice(0, 16);
}

/** The time of such a field for the address, in UTC. */
export function fromField(value: string | undefined): string | undefined {
  const at = value ? Date.parse(value) : NaN;
  return Number.isNaN(at) ? undefined : new Date(at).toISOString();
}
