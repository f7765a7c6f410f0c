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

/** The state of a connection in sentences, if there is anything to say. */
export function WhatItMeans({ connection, always = false }: { connection: Connection; always?: boolean }) {
  const now = useNow(60_000);
  const { state, reason } = connection;
  const { meaning } = stateWords(state);
  const why = state === 'disconnected' || state === 'suspect' ? '' : reasonWords(reason);
  const warning = consentWarning(connection, now);
  if (state === 'active' && !always && warning === undefined) return null;
  return (
    <div className="connection-meaning">
      {(state !== 'active' || always) && (
        <p>
          {why && state === 'needs_reauth'
            ? `${why} Reconnect the account to go on.`
            : [why, meaning].filter(Boolean).join(' ')}
        </p>
      )}
      {warning !== undefined && (
        <p className="notice" data-tone="warn">
          {warning}
        </p>
      )}
    </div>
  );
}
