import type { ReactNode } from 'react';

import { stateWords, type Tone, verdictWords } from '../lib/words';

/** A word with a colour. The word says it all; the colour only helps to find it. */
export function Badge({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string }) {
  return (
    <span className="badge" data-tone={tone} title={title}>
      {children}
    </span>
  );
}

/** How a connection stands, in plain words. */
export function StateBadge({ state }: { state: string }) {
  const { label, tone, meaning } = stateWords(state);
  return (
    <Badge tone={tone} title={meaning}>
      {label}
    </Badge>
  );
}

/** What an answer of the provider meant, in plain words. */
export function VerdictBadge({ verdict }: { verdict: string }) {
  const { label, tone, meaning } = verdictWords(verdict);
  return (
    <Badge tone={tone} title={meaning}>
      {label}
    </Badge>
  );
}
