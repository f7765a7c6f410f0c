/** Times in words. */

const SECOND = 1;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const plural = (count: number, unit: string) => `${count} ${unit}${count === 1 ? '' : 's'}`;

/** A length of time in at most two units: `41 min 12 s`, `3 h 5 min`, `2 days 4 h`, `300 days`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${whole % MINUTE} s`;
  if (whole < DAY) return two(Math.floor(whole / HOUR), 'h', Math.floor((whole % HOUR) / MINUTE), 'min');
  const days = Math.floor(whole / DAY);
  const hours = Math.floor((whole % DAY) / HOUR);
  return days < 3 && hours > 0 ? `${plural(days, 'day')} ${hours} h` : plural(days, 'day');
}

function two(first: number, unit: string, second: number, smaller: string): string {
  return second === 0 ? `${first} ${unit}` : `${first} ${unit} ${second} ${smaller}`;
}

/** How far away a time is, for a countdown: `in 41 min 12 s`, `now`, `3 min 2 s ago`. */
export function countdown(target: number, now: number): string {
  const seconds = Math.round((target - now) / 1000);
  if (seconds > 0) return `in ${duration(seconds)}`;
  return seconds > -2 ? 'now' : `${duration(-seconds)} ago`;
}

const relativeFormat = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 365 * DAY],
  ['month', 30 * DAY],
  ['day', DAY],
  ['hour', HOUR],
  ['minute', MINUTE],
];

/** How far away a time is, in one unit: `3 minutes ago`, `in 2 hours`, `just now`, `tomorrow`. */
export function relative(target: number, now: number): string {
  const seconds = (target - now) / 1000;
  const found = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  if (!found) return seconds > 10 * SECOND ? 'in less than a minute' : 'just now';
  const [unit, length] = found;
  return relativeFormat.format(Math.trunc(seconds / length), unit);
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** Where the reader is: `14:20` on the same day, `23 Nov 2026, 14:20` on another. */
export function local(target: number, now: number): string {
  const isToday = dateFormat.format(target) === dateFormat.format(now);
  return isToday ? clockFormat.format(target) : `${dateFormat.format(target)}, ${clockFormat.format(target)}`;
}

/** The day where the reader is. */
export function localDay(target: number): string {
  return dateFormat.format(target);
}

/** Date and time to the second, where the reader is. */
export function localFull(target: number): string {
  return fullFormat.format(target);
}

/** Milliseconds since 1970 of a time that the API told; `undefined` if there is none. */
export function timeOf(text: string | null | undefined): number | undefined {
  if (text === null || text === undefined) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** How many nights it is until then, where the reader is; negative when the day is past. */
export function daysUntil(target: number, now: number): number {
  const midnight = (time: number) => new Date(time).setHours(0, 0, 0, 0);
  // Rounded, for days have 23 or 25 hours when the clocks change.
  return Math.round((midnight(target) - midnight(now)) / (DAY * 1000));
}
