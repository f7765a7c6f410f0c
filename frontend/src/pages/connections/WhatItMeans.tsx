import { StateBadge } from '../../components/Badge';
import { useNow } from '../../lib/ticker';
import { daysUntil, localDay, timeOf } from '../../lib/time';
import { type Connection, reasonWords, stateWords } from '../../lib/words';

/** Amazon's permission lasts for 365 days. Whoever renews it this early is never interrupted. */
export const WARN_DAYS = 30;

/** What is said about a permission that ends soon; `undefined` if there is time. */
export function consentWarning(
  { state, refresh_expires_at }: Pick<Connection, 'state' | 'refresh_expires_at'>,
  now: number,
): string | undefined {
  const end = timeOf(refresh_expires_at);
  if (end === undefined || state === 'needs_reauth' || state === 'disconnected') return undefined;
  const days = daysUntil(end, now);
  if (days >= WARN_DAYS) return undefined;
  const when =
    days < 0
      ? 'has run out'
      : days === 0
        ? 'ends today'
        : days === 1
          ? 'ends tomorrow'
          : `ends in ${days} days`;
  return `Your permission ${when} (${localDay(end)}). Reconnect to renew it for another year.`;
}

/** Whether the token ran out before another could be fetched: whoever uses the account notices by now. */
export function isLate(
  { state, failures, expires_at }: Pick<Connection, 'state' | 'failures' | 'expires_at'>,
  now: number,
): boolean {
  const end = timeOf(expires_at);
  return state === 'active' && failures > 0 && end !== undefined && end <= now;
}

/** The badge of a connection. One that is late is in trouble, though attempts have not been given up. */
export function StandingBadge({ connection }: { connection: Connection }) {
  const now = useNow(10_000);
  return <StateBadge state={isLate(connection, now) ? 'failing' : connection.state} />;
}

/** How a connection stands in sentences; `undefined`: it is well, and that is all. */
export function standing(
  connection: Pick<Connection, 'state' | 'reason' | 'failures' | 'expires_at'>,
  now: number,
): string | undefined {
  const { state, reason, failures } = connection;
  const { meaning } = stateWords(state);
  switch (state) {
    case 'active':
      if (isLate(connection, now)) {
        return 'The token has ended, and Amazon has not given a new one yet. It is tried again; you need not do anything.';
      }
      return failures > 0
        ? 'The last refresh did not succeed. It is tried again; the present token goes on working until it ends.'
        : undefined;
    case 'needs_reauth':
      return `${reasonWords(reason) || 'Your permission has ended.'} Reconnect the account to go on.`;
    case 'failing':
      return `${reasonWords(reason) || meaning} You need not do anything.`;
    case 'suspect':
    case 'disconnected':
      return meaning;
  }
}

/** The state of a connection in sentences; `always`: also if it is well. */
export function WhatItMeans({ connection, always = false }: { connection: Connection; always?: boolean }) {
  const now = useNow(10_000);
  const said = standing(connection, now) ?? (always ? stateWords(connection.state).meaning : undefined);
  const warning = consentWarning(connection, now);
  const isPaused = Boolean(connection.paused) && connection.state !== 'disconnected';
  if (said === undefined && warning === undefined && !isPaused) return null;
  return (
    <div className="connection-meaning">
      {isPaused && (
        <p className="notice" data-tone="warn">
          Whoever runs Evergrant has paused the refreshes of this account: “{connection.paused?.why}”. They go
          on when the pause ends; you need not do anything.
        </p>
      )}
      {said !== undefined && <p>{said}</p>}
      {warning !== undefined && (
        <p className="notice" data-tone="warn">
          {warning}
        </p>
      )}
    </div>
  );
}
