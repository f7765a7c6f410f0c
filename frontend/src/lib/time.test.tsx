import { describe, expect, it } from 'vitest';

import { countdown, daysUntil, duration, relative, timeOf } from './time';

const NOW = Date.parse('2026-11-23T12:00:00Z');
const after = (seconds: number) => NOW + seconds * 1000;

describe('duration', () => {
  it.each([
    [-5, '0 s'],
    [0, '0 s'],
    [59.9, '59 s'],
    [60, '1 min 0 s'],
    [2472, '41 min 12 s'],
    [3600, '1 h'],
    [11_100, '3 h 5 min'],
    [86_400, '1 day'],
    [187_200, '2 days 4 h'],
    [30 * 86_400 + 3600, '30 days'],
  ])('says %d seconds as %s', (seconds, words) => {
    expect(duration(seconds)).toBe(words);
  });
});

describe('countdown', () => {
  it.each([
    [90, 'in 1 min 30 s'],
    [1, 'in 1 s'],
    [0, 'now'],
    [-1, 'now'],
    [-125, '2 min 5 s ago'],
  ])('counts %d seconds as %s', (seconds, words) => {
    expect(countdown(after(seconds), NOW)).toBe(words);
  });
});

describe('relative', () => {
  it.each([
    [-3, 'just now'],
    [-59, 'just now'],
    [-180, '3 minutes ago'],
    [-7200, '2 hours ago'],
    [-86_400, 'yesterday'],
    [30, 'in less than a minute'],
    [86_400, 'tomorrow'],
    [40 * 86_400, 'next month'],
  ])('says %d seconds from now as %s', (seconds, words) => {
    expect(relative(after(seconds), NOW)).toBe(words);
  });
});

describe('daysUntil', () => {
  it('counts nights, not hours', () => {
    const late = new Date(2026, 10, 23, 23, 59).getTime();
    expect(daysUntil(new Date(2026, 10, 24, 0, 1).getTime(), late)).toBe(1);
    expect(daysUntil(new Date(2026, 10, 23, 0, 1).getTime(), late)).toBe(0);
    expect(daysUntil(new Date(2026, 10, 22).getTime(), late)).toBe(-1);
    expect(daysUntil(new Date(2027, 10, 23).getTime(), late)).toBe(365);
  });
});

describe('timeOf', () => {
  it('takes nothing for a time that is none', () => {
    expect(timeOf(null)).toBeUndefined();
    expect(timeOf(undefined)).toBeUndefined();
    expect(timeOf('soon')).toBeUndefined();
    expect(timeOf('2026-11-23T12:00:00Z')).toBe(NOW);
  });
});
