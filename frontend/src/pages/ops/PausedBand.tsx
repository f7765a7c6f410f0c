import { useQuery } from '@tanstack/react-query';
import { useLocation } from '@tanstack/react-router';

import { Banner } from '../../components/Banner';
import { ButtonLink } from '../../components/Button';
import { pausesQuery, targetOf, targetWords } from './controls';
import type { Pauses } from './shapes';
import { many } from './words';

/** Names no more than this many; the page behind the button has them all. */
const NAMED = 3;

/** On every page of operators while something is paused: what is forgotten there ends as tokens that have ended. */
export function PausedBand() {
  const { data } = useQuery(pausesQuery(undefined));
  const isThere = useLocation({ select: ({ pathname }) => pathname === '/ops/pauses' });
  const words = data && pausedWords(data);
  if (words === undefined || isThere) return null;
  return (
    <Banner
      tone="warn"
      icon="pause"
      title={words}
      action={
        <ButtonLink to="/ops/pauses" size="sm">
          Show what is paused
        </ButtonLink>
      }
    >
      <p>It is not refreshed until an operator resumes it.</p>
    </Banner>
  );
}

/** What is paused, in one line; nothing if nothing is. */
export function pausedWords({
  items,
  connections_total: connections,
}: Pick<Pauses, 'items' | 'connections_total'>): string | undefined {
  const targets = items.map(targetOf).filter((target) => target !== undefined);
  const named = targets.slice(0, NAMED).map(targetWords);
  if (targets.length > NAMED) named.push(`${targets.length - NAMED} more`);
  if (connections > 0) named.push(many(connections, 'connection'));
  if (named.length === 0) return undefined;
  const last = named.pop() ?? '';
  return `Paused: ${named.length > 0 ? `${named.join(', ')} and ${last}` : last}`;
}
