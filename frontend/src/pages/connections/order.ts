import { accountWords, type Connection, type ConnectionState } from '../../lib/words';

const ORDER: Record<ConnectionState, number> = {
  needs_reauth: 0,
  suspect: 1,
  failing: 2,
  active: 3,
  disconnected: 4,
};

/** What needs its user comes first, what was taken away last; otherwise by name, so that nothing jumps about. */
export function inOrder(connections: readonly Connection[]): readonly Connection[] {
  return [...connections].sort(
    (a, b) =>
      ORDER[a.state] - ORDER[b.state] ||
      accountWords(a).name.localeCompare(accountWords(b).name) ||
      a.id.localeCompare(b.id),
  );
}
