/** What tests of pages share. */

import type { Connection } from './lib/words';

/** A connection that is well. */
export function aConnection(differing: Partial<Connection> = {}): Connection {
  return {
    id: '0199e2a4-51c0-7a31-8f0e-2d9c5b7a1e64',
    user: 'ada',
    provider: 'amazon-na',
    account: 'amzn1.account.ADA',
    label: 'ada@example.com',
    scopes: 'advertising::campaign_management',
    state: 'active',
    reason: null,
    version: 3,
    failures: 0,
    created_at: '2026-11-01T08:00:00Z',
    consent_at: '2026-11-01T08:00:00Z',
    expires_at: '2026-11-23T13:00:00Z',
    refresh_at: '2026-11-23T12:45:00Z',
    refreshed_at: '2026-11-23T12:00:00Z',
    refresh_expires_at: '2027-11-01T08:00:00Z',
    leased_until: null,
    last_error: null,
    paused: null,
    ...differing,
  };
}
