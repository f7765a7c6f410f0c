import { QueryClient } from '@tanstack/react-query';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { CONNECTIONS } from './connections';
import { liveListener } from './events';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const connection = {
  type: 'connection',
  data: { connection_id: '1', outcome: 'refreshed', state: 'active', version: 2 },
} as const;

it('reads connections again once for many events', () => {
  const queries = new QueryClient();
  const invalidate = vi.spyOn(queries, 'invalidateQueries').mockResolvedValue();
  const hear = liveListener(queries);
  for (let event = 0; event < 100; event += 1) hear(connection);
  vi.advanceTimersByTime(1000);
  expect(invalidate.mock.calls).toEqual([[{ queryKey: CONNECTIONS }]]);
});

it('reads everything again after a gap', () => {
  const queries = new QueryClient();
  const invalidate = vi.spyOn(queries, 'invalidateQueries').mockResolvedValue();
  const hear = liveListener(queries);
  hear(connection);
  hear({ type: 'gap' });
  vi.advanceTimersByTime(1000);
  hear(connection);
  vi.advanceTimersByTime(1000);
  expect(invalidate.mock.calls).toEqual([[{}], [{ queryKey: CONNECTIONS }]]);
});
