import { Countdown, RelativeTime } from '../../components/Time';
import { useNow } from '../../lib/ticker';
import { daysUntil, localDay, timeOf } from '../../lib/time';
import type { Connection } from '../../lib/words';

/** When the token ends, when it is refreshed next, when it was last, and until when Amazon's permission lasts. */
export function ConnectionTimes({ connection }: { connection: Connection }) {
  const { state, expires_at, refresh_at, refreshed_at, consent_at, refresh_expires_at } = connection;
  if (state === 'needs_reauth' || state === 'disconnected') {
    // Its token is used no more, and what it was allowed counts no more: what was is all there is to tell.
    return (
      <dl className="facts">
        <div>
          <dt>Last refresh</dt>
          <dd>
            <RelativeTime at={refreshed_at} none="None" withLocal />
          </dd>
        </div>
        <div>
          <dt>Permission given</dt>
          <dd>
            <RelativeTime at={consent_at} none="Not known" withLocal />
          </dd>
        </div>
      </dl>
    );
  }
  return (
    <dl className="facts">
      <div>
        <dt>Token ends</dt>
        <dd>
          <Countdown at={expires_at} none="No token" />
        </dd>
      </div>
      <div>
        <dt>Next refresh</dt>
        <dd>
          {/* A pause is what counts, whatever was planned. */}
          {connection.paused ? (
            'When the pause ends'
          ) : (
            <Countdown at={refresh_at} none="Not planned" past="any moment" />
          )}
        </dd>
      </div>
      <div>
        <dt>Last refresh</dt>
        <dd>
          <RelativeTime at={refreshed_at} none="Not yet" withLocal />
        </dd>
      </div>
      <div>
        <dt>Permission until</dt>
        <dd>
          <ConsentEnd at={refresh_expires_at} />
        </dd>
      </div>
    </dl>
  );
}

/** The day on which the permission ends, and how long that is. */
export function ConsentEnd({ at }: { at: string | null | undefined }) {
  const now = useNow(60_000);
  const end = timeOf(at);
  if (end === undefined) return <span>No end known</span>;
  const days = daysUntil(end, now);
  return (
    <time dateTime={new Date(end).toISOString()}>
      {localDay(end)}
      {days >= 0 && <span className="muted"> ({days === 1 ? '1 day' : `${days} days`})</span>}
    </time>
  );
}
