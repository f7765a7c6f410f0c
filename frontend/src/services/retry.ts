/** Which failures are worth another try at once. A refusal of the session is no matter of this. */

import type { AxiosResponse, InternalAxiosRequestConfig } from 'axios';

import { askedWait, backoff } from './backoff.js';
import type { FoundProblem } from './problems.js';

/** How often a request is repeated that only reads. */
export const REPEATS_MAX = 2;

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 2_000;

/** Whoever has to wait longer than this is told so instead. */
const PATIENCE_MS = 5_000;

const PASSING = new Set(['overloaded', 'unavailable', 'timeout', 'rate-limited', 'bad-gateway']);

/** Whether a request changes nothing, so that it may be sent again although nobody knows what became of it. */
export function isReadOnly(config: InternalAxiosRequestConfig): boolean {
  return ['get', 'head', 'options'].includes((config.method ?? 'get').toLowerCase());
}

/**
 * How long to wait before the next try; `undefined`: there is to be none. `response` is missing if none came.
 */
export function waitBeforeRepeat(
  failures: number,
  answer: { response: AxiosResponse | undefined; problem: FoundProblem | undefined },
  now: number,
  chance: number,
): number | undefined {
  if (failures > REPEATS_MAX) return undefined;
  const own = backoff(failures, FIRST_WAIT_MS, LONGEST_WAIT_MS, chance);
  const { response, problem } = answer;
  if (!response) return own;
  if (![429, 502, 503, 504].includes(response.status)) return undefined;
  // A problem says more than its status: a provider that is away will not be back within a second.
  if (problem && !PASSING.has(problem.kind)) return undefined;
  const header: unknown = response.headers['retry-after'];
  const asked = askedWait(typeof header === 'string' ? header : undefined, now);
  if (asked !== undefined && asked > PATIENCE_MS) return undefined;
  return Math.max(asked ?? 0, own);
}
