import { describe, expect, it } from 'vitest';

import { localPath } from './redirect';

describe('localPath', () => {
  it.each(['/connections/42', '/ops?state=failing', '/connections#history', '/a%20b'])(
    'goes on to %s',
    (path) => {
      expect(localPath(path)).toBe(path);
    },
  );

  it.each([
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example',
    '\\/evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    ' /connections',
    '/..//evil.example',
    '/.//evil.example',
    '/%2Fevil.example',
    '/%5cevil.example',
    'javascript:alert(1)',
    'connections',
    '',
    undefined,
    42,
  ])('stays here instead of going to %j', (wanted) => {
    expect(localPath(wanted)).toBe('/connections');
  });

  it.each(['/sign-in', '/sign-in?redirect=/sign-in', '/auth/success', '/auth/error?problem=x'])(
    'does not run in a circle over %s',
    (wanted) => {
      expect(localPath(wanted)).toBe('/connections');
    },
  );
});
