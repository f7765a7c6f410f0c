import { useQuery } from '@tanstack/react-query';

import { Banner } from '../components/Banner';
import { Button } from '../components/Button';
import { accountWords, type Connection, reasonWords } from '../lib/words';
import { endedConnectionsQuery, useReconnect } from './connections';

/** On any page: a grant has ended, and one button mends it. */
export function EndedBanner({ user }: { user: string }) {
  const { data } = useQuery(endedConnectionsQuery(user));
  const reconnect = useReconnect();
  const told = endedWords(data?.items ?? []);
  if (!told) return null;
  return (
    <Banner
      tone="bad"
      title={told.title}
      action={
        <Button
          variant="primary"
          isPending={reconnect.isPending}
          onPress={() => {
            reconnect.mutate(told.first);
          }}
        >
          {told.button}
        </Button>
      }
    >
      {told.text}
    </Banner>
  );
}

export interface EndedWords {
  readonly title: string;
  readonly text: string;
  readonly button: string;
  /** The one that the button mends. */
  readonly first: Connection;
}

/** What the banner says. `undefined`: all is well. */
export function endedWords(ended: readonly Connection[]): EndedWords | undefined {
  const [first, ...others] = ended;
  if (!first) return undefined;
  const { name } = accountWords(first);
  if (others.length === 0) {
    return {
      title: `${name} needs your permission again`,
      text: reasonWords(first.reason) || 'Amazon has ended it.',
      button: 'Reconnect',
      first,
    };
  }
  return {
    title: `${ended.length} accounts need your permission again`,
    text: `Amazon asks for each of them on its own. The first is ${name}.`,
    button: `Reconnect ${name.length > 24 ? 'the first' : name}`,
    first,
  };
}
