import { AxiosError, type AxiosResponse } from 'axios';
import { expect, it } from 'vitest';

import { ApiProblem, type ProblemKind, SessionUnavailable } from '../services/api';
import { isWorthRetrying, problemLine, problemWords } from './problemWords';

function problem(kind: ProblemKind, detail = 'Said by the server.', more: { retry_after?: number } = {}) {
  const type = `https://evergrant.dev/problems/${kind}` as const;
  const found = {
    kind,
    problem: { type, title: 'Title', status: 503, detail, request_id: 'req-1', ...more },
  };
  return new ApiProblem(found, new AxiosError('refused'));
}

it('tells what the server said, what to do, and the request id', () => {
  const words = problemWords(problem('app-credentials-invalid'));
  expect(words.detail).toBe('Said by the server.');
  expect(words.advice).toMatch(/operator has to act/);
  expect(words.requestId).toBe('req-1');
});

it('says when to try again where nothing else is to be done', () => {
  expect(problemWords(problem('rate-limited', 'x', { retry_after: 1 })).advice).toBe(
    'Try again in a second.',
  );
  expect(problemWords(problem('rate-limited', 'x', { retry_after: 90 })).advice).toBe(
    'Try again in 2 minutes.',
  );
});

it('keeps what is said about the provider out of a toast', () => {
  const line = problemLine(problem('provider-unavailable', 'no token was issued (HTTP 503)'));
  expect(line).toBe(
    'Amazon does not answer. Your connection is kept and is refreshed as soon as Amazon answers.',
  );
});

it('tells a network that is away from a defect of the page', () => {
  expect(problemWords(new AxiosError('Network Error')).title).toBe('Evergrant cannot be reached');
  const proxy = new AxiosError('Bad gateway', undefined, undefined, undefined, {
    status: 502,
  } as AxiosResponse);
  expect(problemWords(proxy).title).toBe('Evergrant cannot be reached');
  expect(problemWords(new TypeError('x is undefined')).title).toBe('Something went wrong on this page');
});

it('never says that somebody was signed out who was not', () => {
  const error = new SessionUnavailable(0);
  expect(problemWords(error).detail).toMatch(/Nobody was signed out/);
  expect(problemLine(error)).toMatch(/still signed in/);
});

it('offers another try where it may help', () => {
  expect(isWorthRetrying(problem('not-found'))).toBe(false);
  expect(isWorthRetrying(problem('unavailable'))).toBe(true);
  expect(isWorthRetrying(new AxiosError('Network Error'))).toBe(true);
});
