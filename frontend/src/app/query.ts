import { QueryClient } from '@tanstack/react-query';
import { isAxiosError } from 'axios';

import { ApiProblem, SessionUnavailable } from '../services/api';

/** Whether asking once more may bring another answer. */
function mayPass(error: unknown): boolean {
  if (error instanceof SessionUnavailable) return true;
  if (error instanceof ApiProblem) return (error.status ?? 0) >= 500 && error.kind !== 'not-configured';
  return isAxiosError(error);
}

export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        retry: (failures, error) => failures < 2 && mayPass(error),
        // The client says when a page may ask again; this only keeps it from asking at once.
        retryDelay: (failure) => Math.min(1_000 * 2 ** failure, 8_000),
      },
      mutations: { retry: false },
    },
  });
}
