/** What docs/OPERATIONS.md tells an operator to press, in its order. */

import { readFileSync } from 'node:fs';

import { expect } from '@playwright/test';

const SECTION = '## Everything is red at once\n';
const BEGIN = '**The same by the page.**';

/** The numbered lists of the section: the names in bold of each step. */
function read(): string[][][] {
  const text = readFileSync(new URL('../../../docs/OPERATIONS.md', import.meta.url), 'utf8');
  const section = text.split(SECTION)[1]?.split('\n## ')[0]?.split(BEGIN)[1];
  if (section === undefined) throw new Error(`docs/OPERATIONS.md has no “${BEGIN}” any more.`);
  const lists: string[][][] = [];
  for (const [item, number] of section.matchAll(/^(\d+)\. .*(?:\n {2,}.*)*/gm)) {
    if (number === '1') lists.push([]);
    lists.at(-1)?.push([...item.matchAll(/\*\*(.+?)\*\*/g)].map(([, name]) => name ?? ''));
  }
  return lists;
}

/** One list of steps. What is done on the page has the names that stand there. */
export class Guide {
  readonly #steps: string[][];

  constructor(list: number) {
    const steps = read()[list];
    if (steps === undefined) throw new Error(`docs/OPERATIONS.md has no list ${list + 1} of steps.`);
    this.#steps = steps;
  }

  /** The names in the next step, which must be these. */
  next<const Names extends readonly string[]>(...names: Names): Names {
    expect(this.#steps.shift(), 'the next step of the guide').toEqual(names);
    return names;
  }

  /** Nothing of it was left out. */
  end(): void {
    expect(this.#steps, 'what is left of the guide').toEqual([]);
  }
}
