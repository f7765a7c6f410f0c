/** Whether all processes can read what the others write. */

import type { Tone } from '../../lib/words';
import type { Process } from './shapes';

interface Trouble {
  readonly tone: Tone;
  readonly title: string;
  readonly text: string;
}

/** What is wrong with the encryption keys of the processes, taken together. */
export function keyTrouble(processes: readonly Pick<Process, 'primary_key' | 'keys'>[]): Trouble | undefined {
  const written = [...new Set(processes.map(({ primary_key }) => primary_key))];
  const blind = processes.filter(({ keys }) => written.some((key) => !keys.includes(key)));
  if (blind.length > 0) {
    return {
      tone: 'bad',
      title: 'Processes have different encryption keys',
      text: `${blind.length} of ${processes.length} processes cannot read tokens that others write. Give every process the same list of keys and restart those that lack one; then tokens that could not be read are tried again.`,
    };
  }
  if (written.length > 1) {
    return {
      tone: 'warn',
      title: 'Processes encrypt with different keys',
      text: 'All can read all, as during a change of keys. Finish it: let every process encrypt with the newest key.',
    };
  }
  return undefined;
}
