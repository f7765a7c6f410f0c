import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import api, { isProblemKind, live, on, PROBLEM_KINDS, session } from './api.js';
import { problemIn } from './problems.js';

test('the default export is an axios instance as the one that it takes the place of', () => {
  expect(api.defaults.baseURL).toBe('/api');
  for (const method of ['get', 'post', 'put', 'patch', 'delete', 'request'] as const) {
    expect(typeof api[method]).toBe('function');
  }
  expect(typeof api.interceptors.response.use).toBe('function');
});

test('importing it opens nothing and asks for nothing', () => {
  expect(session.state).toBe('unknown');
  expect(live.state.is).toBe('off');
  on('signed-out', () => undefined)();
});

test('the kinds of problems are those that the API publishes', () => {
  const document = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../../docs/openapi.json'), 'utf8'),
  ) as {
    components: { schemas: { Problem: { properties: { type: { enum: string[] } } } } };
  };
  const uris = PROBLEM_KINDS.map((kind) => `https://evergrant.dev/problems/${kind}`);
  expect([...uris].sort()).toEqual(document.components.schemas.Problem.properties.type.enum.sort());
});

test('a problem of a kind that is not known, or of others, is none', () => {
  expect(isProblemKind('toString')).toBe(false);
  for (const type of [
    'https://evergrant.dev/problems/new',
    'https://other.test/problems/internal',
    'about:blank',
    7,
  ]) {
    expect(problemIn({ type, detail: 'x' }), String(type)).toBeUndefined();
  }
  for (const body of [
    undefined,
    null,
    '',
    'session-expired',
    [],
    {},
    { detail: 7 },
    { detail: 'Invalid token' },
  ]) {
    expect(problemIn(body)).toBeUndefined();
  }
});

test('a problem that lacks what is not needed is read all the same', () => {
  const found = problemIn({ type: 'https://evergrant.dev/problems/internal' });
  expect(found?.kind).toBe('internal');
  expect(found?.problem.detail).toBe('The request was refused.');
});
