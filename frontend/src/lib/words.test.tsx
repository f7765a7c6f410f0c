import { describe, expect, it } from 'vitest';

import { landingWords } from './landingWords';
import {
  accountWords,
  providerWords,
  REASONS,
  reasonWords,
  scopeWords,
  STATES,
  stateWords,
  VERDICTS,
  verdictWords,
} from './words';

describe('words', () => {
  it('are sentences for each reason, and say more than the label for each state and verdict', () => {
    for (const text of Object.values(REASONS)) expect(text).toMatch(/^[A-Z].*\.$/);
    for (const { label, meaning } of [...Object.values(STATES), ...Object.values(VERDICTS)]) {
      expect(label).not.toMatch(/_/);
      expect(meaning).toMatch(/^[A-Z].*\.$/);
    }
  });

  it('make do with what a newer server may say', () => {
    expect(stateWords('half_open')).toMatchObject({ label: 'Half open', tone: 'neutral' });
    expect(verdictWords('toString')).toMatchObject({ label: 'ToString' });
    expect(reasonWords('moon_phase')).toBe('Moon phase.');
    expect(reasonWords(null)).toBe('');
    expect(providerWords('example-ads')).toBe('example-ads');
  });

  it('name an account by its label, then by its id, and never show the same twice', () => {
    expect(accountWords({ label: 'ada@example.com', account: 'A1' })).toEqual({
      name: 'ada@example.com',
      detail: 'A1',
    });
    expect(accountWords({ label: '', account: 'A1' })).toEqual({ name: 'A1', detail: undefined });
    expect(accountWords({ label: '', account: '' }).name).toBe('Amazon account');
  });

  it('say scopes once, in words', () => {
    const scopes = 'advertising::campaign_management cpc_advertising:campaign_management  new:scope';
    expect(scopeWords(scopes)).toEqual(['Campaigns and Marketing Cloud', 'new:scope']);
    expect(scopeWords('')).toEqual([]);
  });
});

describe('landingWords', () => {
  it('knows what may go wrong on the way back', () => {
    expect(landingWords('consent-denied').title).toMatch(/did not give/);
  });

  it('never repeats what the address says', () => {
    const otherwise = landingWords(undefined);
    expect(landingWords('<b>call 555-1234</b>')).toBe(otherwise);
    expect(landingWords('toString')).toBe(otherwise);
  });
});
