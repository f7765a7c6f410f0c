import { expect, test } from 'vitest';

import {
  connectionParams,
  filled,
  fromField,
  isNarrowed,
  JOB_FILTERS,
  jobFilter,
  jobParams,
  refreshFilter,
  toField,
} from './filters';
import { keyTrouble } from './keys';
import { payloadProblem } from './payload';

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

test('what is refreshed is what is shown, on all pages', () => {
  expect(refreshFilter({})).toEqual({});
  expect(
    refreshFilter({
      state: 'failing,suspect',
      text: ' ada ',
      expired: 'true',
      provider: 'amazon-na',
      after: 'x',
    }),
  ).toEqual({ states: ['failing', 'suspect'], text: 'ada', expired: true, provider: 'amazon-na' });
  expect(refreshFilter({ expired: 'perhaps' })).toEqual({});
});
