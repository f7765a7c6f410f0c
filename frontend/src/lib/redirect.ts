/** Where to go on to. A page that sends people wherever its address says is a page for phishers. */

/** Pages that lead back to where somebody came from. */
const LANDINGS = ['/sign-in', '/auth/'];

/**
 * The path to go on to, from the `?redirect` of an address: a path of this page only, else `fallback`. What is returned
 * went through the browser's own parser, so that it means to the browser what it meant here.
 */
export function localPath(wanted: unknown, fallback = '/connections'): string {
  if (typeof wanted !== 'string' || !wanted.startsWith('/')) return fallback;
  // Browsers drop tabs and line ends, and take a backslash for a slash.
  // eslint-disable-next-line no-control-regex
  if (/[\\\u0000-\u0020\u007f]/.test(wanted)) return fallback;
  const { origin } = globalThis.location;
  if (!URL.canParse(wanted, origin)) return fallback;
  const there = new URL(wanted, origin);
  if (there.origin !== origin || /^\/(?:\/|%2f|%5c)/i.test(there.pathname)) return fallback;
  if (LANDINGS.some((landing) => there.pathname.startsWith(landing))) return fallback;
  return there.pathname + there.search + there.hash;
}

/** Leaves for Amazon's consent page. Only an address that a browser opens as a web page is gone to. */
export function leaveFor(address: string): void {
  const { protocol } = new URL(address, globalThis.location.href);
  if (protocol !== 'https:' && protocol !== 'http:') throw new Error('That is no address of a web page.');
  globalThis.location.assign(address);
}
