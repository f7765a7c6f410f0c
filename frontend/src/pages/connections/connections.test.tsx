import { describe, expect, it } from 'vitest';

import { aConnection } from '../../testing';
import { inOrder } from './order';
import { consentWarning, isLate, standing } from './WhatItMeans';

// Days are those of the reader, wherever the test runs.
const NOW = new Date(2026, 10, 23, 12).getTime();
const inDays = (days: number) => new Date(2026, 10, 23 + days, 13).toISOString();

describe('the warning about a permission that ends', () => {
  const warning = (refresh_expires_at: string | null, state: 'active' | 'needs_reauth' = 'active') =>
    consentWarning({ state, refresh_expires_at }, NOW);

  it('comes in the last 30 days', () => {
    expect(warning(inDays(365))).toBeUndefined();
    expect(warning(inDays(30))).toBeUndefined();
    expect(warning(inDays(29))).toMatch(/ends in 29 days/);
    expect(warning(inDays(1))).toMatch(/ends tomorrow/);
    expect(warning(inDays(0))).toMatch(/ends today/);
    expect(warning(inDays(-2))).toMatch(/has run out/);
  });

  it('stays away where there is no end, and where something worse is said', () => {
    expect(warning(null)).toBeUndefined();
    expect(warning(inDays(1), 'needs_reauth')).toBeUndefined();
  });
});

describe('how a connection stands', () => {
  const BEFORE = Date.parse('2026-11-23T12:30:00Z');
  const AFTER = Date.parse('2026-11-23T13:30:00Z');

  it('does not call a token good that has ended', () => {
    expect(standing(aConnection({ failures: 1 }), AFTER)).toMatch(/token has ended/);
    expect(isLate(aConnection({ failures: 1 }), AFTER)).toBe(true);
    // Due this very moment, and nothing has gone wrong.
    expect(isLate(aConnection(), AFTER)).toBe(false);
  });

  it('is not worth a word while it is well', () => {
    expect(standing(aConnection(), BEFORE)).toBeUndefined();
  });

  it('calms while it is tried again', () => {
    expect(standing(aConnection({ failures: 1 }), BEFORE)).toMatch(/tried again/);
    expect(standing(aConnection({ state: 'failing', reason: 'attempts_exhausted' }), BEFORE)).toMatch(
      /need not do anything/,
    );
  });

  it('says why, and what to do, when the grant has ended', () => {
    const words = standing(aConnection({ state: 'needs_reauth', reason: 'undecryptable' }), BEFORE);
    expect(words).toMatch(/cannot be read/);
    expect(words).toMatch(/Reconnect the account/);
  });
});

it('shows first what needs its user', () => {
  const list = [
    aConnection({ id: '1', state: 'disconnected', reason: 'by_user' }),
    aConnection({ id: '2', label: 'Zeta' }),
    aConnection({ id: '3', label: 'Alpha' }),
    aConnection({ id: '4', state: 'needs_reauth', reason: 'grant_invalid' }),
    aConnection({ id: '5', state: 'failing', reason: 'attempts_exhausted' }),
  ];
  expect(inOrder(list).map(({ id }) => id)).toEqual(['4', '5', '3', '2', '1']);
});
