import { describe, expect, it } from 'vitest';

import { aConnection } from '../testing';
import { endedWords } from './EndedBanner';

const ended = (label: string) => aConnection({ label, state: 'needs_reauth', reason: 'grant_invalid' });

describe('the banner', () => {
  it('is not there while all is well', () => {
    expect(endedWords([])).toBeUndefined();
  });

  it('names the one account, why, and mends that one', () => {
    const words = endedWords([ended('Ada')]);
    expect(words).toMatchObject({ title: 'Ada needs your permission again', button: 'Reconnect' });
    expect(words?.text).toMatch(/no longer accepts/);
  });

  it('counts several and mends one after the other', () => {
    const words = endedWords([ended('Ada'), ended('Bob')]);
    expect(words).toMatchObject({ title: '2 accounts need your permission again', button: 'Reconnect Ada' });
    expect(words?.first.label).toBe('Ada');
  });

  it('keeps its button short', () => {
    expect(endedWords([ended('A'.repeat(80)), ended('Bob')])?.button).toBe('Reconnect the first');
  });
});
