import { describe, expect, it } from 'vitest';

import { holders, keySteps, movedShare, nextStep, secretEnd, standingOf } from './keys';
import type { EncryptionKey, EncryptionKeys } from './shapes';

const worker = { process: '0199e2a4-51c0-7a31-8f0e-2d9c5b7a1e64', role: 'worker' };
const api = { process: '0199e2a4-51c0-7a31-8f0e-2d9c5b7a1e65', role: 'api' };

function key(fingerprint: string, differing: Partial<EncryptionKey> = {}): EncryptionKey {
  const role = differing.role ?? 'encrypts';
  const all = [api, worker];
  return {
    fingerprint,
    role,
    rows: 0,
    encrypting: role === 'encrypts' ? all : [],
    decrypting: role === 'decrypts' ? all : [],
    lacking: [],
    is_idle: false,
    ...differing,
  };
}

function view(...keys: EncryptionKey[]): EncryptionKeys {
  const sum = (isMeant: (key: EncryptionKey) => boolean) =>
    keys.filter(isMeant).reduce((rows, each) => rows + each.rows, 0);
  return {
    at: '2026-11-23T12:00:00Z',
    keys,
    rows: sum(() => true),
    rows_left: sum(({ role }) => role !== 'encrypts'),
    rows_missing_their_key: sum(({ role }) => role === 'missing'),
  };
}

describe('how the keys stand', () => {
  it('is well with one key that all have', () => {
    const one = view(key('new', { rows: 5 }));
    expect(standingOf(one).tone).toBe('good');
    expect(nextStep(one)).toMatch(/keys generate/);
  });

  it('puts lost keys before everything else', () => {
    const lost = view(key('new', { lacking: [worker] }), key('lost', { role: 'missing', rows: 1200 }));
    expect(standingOf(lost)).toMatchObject({
      tone: 'bad',
      text: expect.stringContaining('1,200 rows') as string,
    });
    expect(nextStep(lost)).toMatch(/above/);
  });

  it('warns of processes that cannot read what others write', () => {
    const blind = standingOf(view(key('new', { lacking: [worker, worker, api] })));
    expect(blind.tone).toBe('bad');
    expect(blind.text).toMatch(/^2 × worker, api cannot read/);
  });

  it('warns while processes encrypt with different keys', () => {
    expect(standingOf(view(key('old', { rows: 3 }), key('new'))).tone).toBe('warn');
  });

  it('says that rows move, and to keep the former key until then', () => {
    const moving = view(key('new', { rows: 3 }), key('old', { role: 'decrypts', rows: 4 }));
    expect(standingOf(moving).tone).toBe('info');
    expect(nextStep(moving)).toMatch(/keep those keys/);
  });
});

describe('the next step', () => {
  it('is to give a new key to all before any uses it', () => {
    const fresh = key('new', { role: 'decrypts', decrypting: [api], lacking: [worker], is_idle: true });
    expect(nextStep(view(key('old', { rows: 7 }), fresh))).toMatch(/not yet to worker/);
  });

  it('is to take out what nothing needs', () => {
    const idle = key('old', { role: 'decrypts', is_idle: true });
    expect(nextStep(view(key('new', { rows: 7 }), idle))).toMatch(/No row needs old/);
  });
});

it('names processes by what they run', () => {
  expect(holders([])).toBe('None');
  expect(holders([worker, api, worker])).toBe('2 × worker, api');
});

it('says all or none only when it is so', () => {
  expect(movedShare({ rows: 0, rows_left: 0 })).toBe(100);
  expect(movedShare({ rows: 1_000_000, rows_left: 1 })).toBe(99);
  expect(movedShare({ rows: 1_000_000, rows_left: 999_999 })).toBe(1);
  expect(movedShare({ rows: 10, rows_left: 10 })).toBe(0);
  expect(movedShare({ rows: 10, rows_left: 5 })).toBe(50);
});

describe('the steps of a change', () => {
  const stages = (...keys: EncryptionKey[]) => keySteps(view(...keys)).map(({ stage }) => stage);
  const commands = (...keys: EncryptionKey[]) => keySteps(view(...keys)).map(({ command }) => command);

  it('are all open when nothing is being changed', () => {
    expect(new Set(stages(key('old', { rows: 7 })))).toEqual(new Set(['open']));
    expect(commands(key('old', { rows: 7 }))[4]).toBe('evergrant keys retire OLD-FINGERPRINT');
  });

  it('begin with a key that some have', () => {
    const fresh = key('new', { role: 'decrypts', lacking: [worker], is_idle: true });
    expect(stages(key('old', { rows: 7 }), fresh)).toEqual(['next', 'open', 'open', 'open', 'open']);
    expect(commands(key('old', { rows: 7 }), fresh)[1]).toBe('evergrant keys rotate --to new');
  });

  it('do not guess whether a key that nothing needs is new or done with', () => {
    const idle = key('idle', { role: 'decrypts', is_idle: true });
    expect(stages(key('present', { rows: 7 }), idle)).not.toContain('next');
    expect(commands(key('present', { rows: 7 }), idle).slice(1)).toEqual([
      'evergrant keys rotate --to idle',
      undefined,
      'evergrant keys reencrypt',
      'evergrant keys retire idle',
    ]);
  });

  it('go on with what encrypts first, and with the rows', () => {
    expect(stages(key('new'), key('old', { rows: 7 }))).toEqual(['done', 'done', 'next', 'open', 'open']);
    const moving = [key('new', { rows: 3 }), key('old', { role: 'decrypts', rows: 4 })];
    expect(stages(...moving)).toEqual(['done', 'done', 'done', 'next', 'open']);
    expect(commands(...moving)[4]).toBe('evergrant keys retire old');
  });
});

describe('the end of a client secret', () => {
  const now = Date.parse('2026-11-23T12:00:00Z');
  const inDays = (days: number) => secretEnd(new Date(now + days * 24 * 3600 * 1000).toISOString(), now);

  it('is said, warned of from thirty days before, and urgent in the last week', () => {
    expect(secretEnd(null, now)).toBeUndefined();
    expect(inDays(31)).toMatchObject({ tone: 'good', title: 'Ends in 31 days' });
    expect(inDays(29)?.tone).toBe('warn');
    expect(inDays(6.5)).toMatchObject({ tone: 'bad', title: 'Ends in 6 days' });
    expect(inDays(0.5)?.title).toBe('Ends today');
    expect(inDays(-1)).toMatchObject({ tone: 'bad', title: 'Has ended' });
  });
});
