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

/** How a connection stands in sentences; `undefined`: it is well, and that is all. */
export function standing({
  state,
  reason,
  failures,
}: Pick<Connection, 'state' | 'reason' | 'failures'>): string | undefined {
  const { meaning } = stateWords(state);
  switch (state) {
    case 'active':
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
  const now = useNow(60_000);
  const said = standing(connection) ?? (always ? stateWords(connection.state).meaning : undefined);
  const warning = consentWarning(connection, now);
  if (said === undefined && warning === undefined) return null;
  return (
    <div className="connection-meaning">
      {said !== undefined && <p>{said}</p>}
      {warning !== undefined && (
        <p className="notice" data-tone="warn">
          {warning}
        </p>
      )}
    </div>
  );
}
