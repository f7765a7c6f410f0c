/** What went wrong, for people: what it was, what to do, and the number by which an operator finds it. */

import { ApiProblem, type ProblemKind, SessionUnavailable } from '../services/api';

export interface ProblemWords {
  readonly title: string;
  readonly detail: string;
  /** What to do, where the detail does not say it. */
  readonly advice?: string | undefined;
  readonly requestId?: string | undefined;
}

const TITLES: Partial<Record<ProblemKind, string>> = {
  forbidden: 'You may not do this',
  'not-found': 'Not found',
  'provider-reauth-required': 'Amazon needs your permission again',
  'provider-rejected': 'Amazon refuses a token it has just given',
  'provider-unavailable': 'Amazon does not answer',
  'app-credentials-invalid': 'Amazon refuses our app',
  'refresh-paused': 'An operator has paused this',
  'refresh-timeout': 'The refresh takes longer than usual',
  'rate-limited': 'That was a little too often',
  overloaded: 'Evergrant is very busy',
  unavailable: 'Not possible for the moment',
  timeout: 'This takes too long',
  'not-configured': 'This is not set up yet',
  'wrong-password': 'Wrong e-mail address or password',
};

const ADVICE: Partial<Record<ProblemKind, string>> = {
  'provider-reauth-required': 'Reconnect the account to go on.',
  'provider-rejected':
    'This is not about expired tokens. Check in Amazon Ads that your user still has access to the account.',
  'provider-unavailable': 'Your connection is kept and is refreshed as soon as Amazon answers.',
  'app-credentials-invalid': 'An operator has to act. Your permission is not affected.',
  'refresh-paused': 'Your connection is kept, and is refreshed as soon as the pause ends.',
  'refresh-timeout': 'It goes on by itself; this page shows when it is done.',
  'not-configured': 'Ask whoever runs Evergrant for you.',
  internal: 'If it happens again, tell an operator the request id.',
  'not-found': 'It may have been taken away, or it belongs to somebody else.',
  forbidden: 'If you think you should, ask an operator.',
};

/** The words for anything that was thrown. */
export function problemWords(error: unknown): ProblemWords {
  if (error instanceof ApiProblem) {
    const { kind, detail, retryAfter, requestId } = error;
    const wait = retryAfter === undefined ? undefined : `Try again in ${seconds(retryAfter)}.`;
    return {
      title: TITLES[kind] ?? 'Something went wrong',
      detail,
      advice: ADVICE[kind] ?? wait,
      requestId,
    };
  }
  if (error instanceof SessionUnavailable) {
    return {
      title: 'Evergrant cannot be reached just now',
      detail: 'Nobody was signed out. This page goes on by itself in a moment.',
      advice: 'Your connections are kept alive without it.',
    };
  }
  if (isNetworkError(error)) {
    return {
      title: 'Evergrant cannot be reached',
      detail: 'No answer came. Your network may be away, or Evergrant is being restarted.',
      advice: 'Nothing is lost: connections are kept alive without this page.',
    };
  }
  return {
    title: 'Something went wrong on this page',
    detail: 'It is not about your connections. Try again, or reload the page.',
  };
}

/** Whether asking once more is worth offering. */
export function isWorthRetrying(error: unknown): boolean {
  return !(error instanceof ApiProblem && (error.kind === 'not-found' || error.kind === 'forbidden'));
}

/** The same in one line, for a toast. */
export function problemLine(error: unknown): string {
  if (error instanceof SessionUnavailable) return error.message;
  const { title, detail, advice } = problemWords(error);
  // What is said about the provider is for operators.
  if (error instanceof ApiProblem) return advice === undefined ? detail : `${title}. ${advice}`;
  return `${title}. ${detail}`;
}

function isNetworkError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { isAxiosError, response } = error as { isAxiosError?: unknown; response?: { status?: unknown } };
  if (isAxiosError !== true) return false;
  // A page of a proxy in between says as little as no answer.
  const status = typeof response?.status === 'number' ? response.status : undefined;
  return status === undefined || [502, 503, 504].includes(status);
}

function seconds(count: number): string {
  if (count < 60) return count === 1 ? 'a second' : `${count} seconds`;
  const minutes = Math.ceil(count / 60);
  return minutes === 1 ? 'a minute' : `${minutes} minutes`;
}
