import { expect, test } from 'vitest';

import {
  connectionParams,
  filled,
  fromField,
  isNarrowed,
  JOB_FILTERS,
  jobFilter,
  jobParams,
  toField,
} from './filters';
import { keyTrouble } from './keys';
import { payloadProblem } from './payload';
import { added, type Progress } from './useDealWithMany';

test('fields that are empty are not in the address', () => {
  expect(filled(JOB_FILTERS, { text: '  timed out ', kind: '', user: '   ', code: undefined })).toEqual({
    text: 'timed out',
  });
});

test('connections are asked for as the address says, and nothing of it is guessed', () => {
  expect(connectionParams({})).toEqual({});
  expect(connectionParams({ text: 'ada', state: 'failing', expired: 'true', after: 'x' })).toEqual({
    text: 'ada',
    state: 'failing',
    expired: 'true',
    after: 'x',
  });
  expect(connectionParams({ expired: 'perhaps' })).toEqual({});
});

test('failed jobs are the open ones, unless the address says otherwise', () => {
  expect(jobParams({})).toEqual({ state: 'open' });
  expect(jobParams({ state: 'replayed', code: 'server_error' })).toEqual({
    state: 'replayed',
    code: 'server_error',
  });
  expect(jobParams({ state: 'all', after: 'next' })).toEqual({ after: 'next' });
});

test('what is dealt with is what is shown, as far as it is open, on all pages', () => {
  expect(jobFilter({ state: 'all', verdict: 'transient', after: 'next' })).toEqual({
    states: ['open'],
    verdict: 'transient',
  });
  expect(isNarrowed({ state: 'all' })).toBe(false);
  expect(isNarrowed({ state: 'all', user: 'u-1' })).toBe(true);
});

test('a time goes through the field and comes back', () => {
  const time = '2026-11-23T12:34:00.000Z';
  expect(fromField(toField(time))).toBe(time);
  expect([toField(undefined), toField('nonsense')]).toEqual(['', '']);
  expect([fromField(''), fromField(undefined), fromField('nonsense')]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('processes that cannot read what others write are told, a change of keys is mentioned', () => {
  const process = (primary_key: string, ...keys: string[]) => ({ primary_key, keys });
  expect(keyTrouble([])).toBeUndefined();
  expect(keyTrouble([process('a', 'a'), process('a', 'a', 'b')])).toBeUndefined();
  expect(keyTrouble([process('a', 'a', 'b'), process('b', 'b', 'a')])?.tone).toBe('warn');
  const trouble = keyTrouble([process('a', 'a'), process('b', 'b', 'a')]);
  expect(trouble?.tone).toBe('bad');
  expect(trouble?.text).toMatch(/^1 of 2 processes/);
});

test('an edited payload has to be a JSON object', () => {
  expect(payloadProblem('{"kind":"refresh_due"}')).toBeUndefined();
  expect(payloadProblem('[]')).toMatch(/object/);
  expect(payloadProblem('{')).toMatch(/^This is no JSON/);
});

test('each page of many jobs is added to those before', () => {
  const before: Progress = {
    phase: 'working',
    total: 400,
    totalIsAtLeast: false,
    looked: 400,
    handled: 200,
    closed: 150,
    outcomes: { published: 150, under_way: 50 },
  };
  const page = {
    dry_run: false,
    handled: 200,
    closed: 199,
    outcomes: { published: 199, needs_reauth: 1 },
    left_open: [],
    more: false,
    wait_ms: 0,
    total_is_at_least: false,
  };
  expect(added(before, page)).toEqual({
    ...before,
    handled: 400,
    closed: 349,
    outcomes: { published: 349, under_way: 50, needs_reauth: 1 },
  });
});
