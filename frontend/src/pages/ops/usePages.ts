import { useState } from 'react';

/**
 * The way back through pages that know only what comes after a row. The address has the place, so that a page can be
 * kept and sent; after a reload the way back leads to the first page.
 */
export function usePages(after: string | undefined, go: (after: string | undefined) => void) {
  const [before, remember] = useState<ReadonlyMap<string, string | undefined>>(new Map());
  return {
    onPrevious:
      after === undefined
        ? undefined
        : () => {
            go(before.get(after));
          },
    onNext: (next: string | null | undefined) =>
      next
        ? () => {
            remember(new Map(before).set(next, after));
            go(next);
          }
        : undefined,
  };
}
