import { useNow } from '../lib/ticker';
import { countdown, local, localFull, relative, timeOf } from '../lib/time';

interface TimeProps {
  /** As the API tells it. */
  at: string | null | undefined;
  /** What is said if there is none. */
  none?: string;
}

/** `3 minutes ago`, and the full local time on hover; `withLocal`: the local time beside it. */
export function RelativeTime({ at, none = 'Never', withLocal = false }: TimeProps & { withLocal?: boolean }) {
  const now = useNow(10_000);
  const time = timeOf(at);
  if (time === undefined) return <span className="muted">{none}</span>;
  return (
    <time dateTime={new Date(time).toISOString()} title={localFull(time)}>
      <span className="nowrap">{relative(time, now)}</span>
      {withLocal && (
        <>
          {' '}
          <span className="muted nowrap">({local(time, now)})</span>
        </>
      )}
    </time>
  );
}

/**
 * `in 41 min 12 s`, counting. It is no live region: a screen reader reads it when it gets there and is not talked over
 * every second.
 */
export function Countdown({ at, none = '–', past }: TimeProps & { past?: string }) {
  const now = useNow();
  const time = timeOf(at);
  if (time === undefined) return <span className="muted">{none}</span>;
  return (
    <time dateTime={new Date(time).toISOString()} title={localFull(time)}>
      {past !== undefined && time <= now ? past : countdown(time, now)}
    </time>
  );
}
