import { queryOptions } from '@tanstack/react-query';

import api, { type components } from '../services/api';

export type Me = components['schemas']['Me'];

/** Who is signed in. */
export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: async ({ signal }) => (await api.get<Me>('/auth/me', { signal })).data,
  staleTime: 5 * 60_000,
});

/** What to call somebody: the name, or the e-mail address of those who have none. */
export function nameOf({ name, email }: Pick<Me, 'name' | 'email'>): string {
  return name.trim() || email || 'Signed in';
}
