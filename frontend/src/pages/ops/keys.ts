/** Whether all processes can read what the others write. */

import { timeOf } from '../../lib/time';
import type { Tone, Words } from '../../lib/words';
import type { EncryptionKey, EncryptionKeys, Process } from './shapes';
import { many } from './words';

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

const KEY_ROLES: Record<EncryptionKey['role'], Words> = {
  encrypts: { label: 'Encrypts', tone: 'good', meaning: 'Whatever is written now is written with it.' },
  decrypts: {
    label: 'Only decrypts',
    tone: 'neutral',
    meaning: 'Processes can read what was written with it, and write nothing with it.',
  },
  missing: {
    label: 'Missing',
    tone: 'bad',
    meaning: 'Rows need it and no live process has it: give it back to every process.',
  },
};

export const keyRoleWords = (role: EncryptionKey['role']): Words => KEY_ROLES[role];

/** Processes by what they run: `2 × worker, api`. */
export function holders(found: EncryptionKey['lacking']): string {
  const counts = new Map<string, number>();
  for (const { role } of found) counts.set(role, (counts.get(role) ?? 0) + 1);
  const words = [...counts].map(([role, count]) => (count === 1 ? role : `${count} × ${role}`));
  return words.join(', ') || 'None';
}

/** How many rows in a hundred are under a key that encrypts. 100 only when all are, 0 only when none is. */
export function movedShare({ rows, rows_left }: Pick<EncryptionKeys, 'rows' | 'rows_left'>): number {
  if (rows_left <= 0 || rows <= 0) return 100;
  if (rows_left >= rows) return 0;
  return Math.min(99, Math.max(1, Math.round((100 * (rows - rows_left)) / rows)));
}

/** How the keys stand, worst first. */
export function standingOf({ keys, rows_left, rows_missing_their_key: missing }: EncryptionKeys): Trouble {
  const blind = keys.find(({ role, lacking }) => role === 'encrypts' && lacking.length > 0);
  if (missing > 0) {
    return {
      tone: 'bad',
      title: 'Rows need a key that no live process has',
      text: `${many(missing, 'row')} cannot be read. Give the missing key back to every process, behind the present one, before anybody is asked to connect again.`,
    };
  }
  if (blind) {
    return {
      tone: 'bad',
      title: 'Processes have different encryption keys',
      text: `${holders(blind.lacking)} cannot read what is written with ${blind.fingerprint}. Give every process the same list of keys and restart those that lack one.`,
    };
  }
  if (keys.filter(({ role }) => role === 'encrypts').length > 1) {
    return {
      tone: 'warn',
      title: 'Processes encrypt with different keys',
      text: 'All can read all, as during a change of keys. Finish it: let every process encrypt with the newest key.',
    };
  }
  if (rows_left > 0) {
    return {
      tone: 'info',
      title: 'Rows are being encrypted again',
      text: 'Keep the former keys until no row is left under them. Refreshes go on meanwhile.',
    };
  }
  return { tone: 'good', title: 'All is well', text: '' };
}

/** One step of a change of keys. */
export interface Step {
  /** What is to be done, in a sentence. */
  readonly text: string;
  /** The command that does it, or checks that it may be done. */
  readonly command?: string;
  /** `done` and `next` where it can be seen from here; otherwise `open`. */
  readonly stage: 'done' | 'next' | 'open';
}

/** Which step is to be done next, where that can be seen: a key that nothing needs may be a new one or a former one. */
function stepNow({ keys, rows_left }: EncryptionKeys): number | undefined {
  if (keys.filter(({ role }) => role === 'encrypts').length > 1) return 2;
  if (rows_left > 0 && keys.some(({ role, rows }) => role === 'decrypts' && rows > 0)) return 3;
  const isSpreading = keys.some(
    ({ role, rows, lacking }) => role === 'decrypts' && rows === 0 && lacking.length > 0,
  );
  return isSpreading ? 0 : undefined;
}

/**
 * The steps of a change of keys, in their order, and how far it is. The keys are in the environment of the processes, so
 * that a page can only say what is to be done there.
 */
export function keySteps(view: EncryptionKeys): Step[] {
  const now = stepNow(view);
  const { keys } = view;
  const find = (isMeant: (key: EncryptionKey) => boolean) => keys.find(isMeant)?.fingerprint;
  const unused = find(({ role, rows }) => role === 'decrypts' && rows === 0);
  const former = find(({ role, rows }) => role === 'decrypts' && rows > 0) ?? unused;
  const fresh = now === 3 ? find(({ role }) => role === 'encrypts') : unused;
  const steps: Omit<Step, 'stage'>[] = [
    {
      text: 'Make a new key and put it behind the present one in FERNET_KEY of every process: old,new. Restart them one after the other.',
      command: 'evergrant keys generate',
    },
    {
      text: 'Have it checked that every live process has the new key. The command names those that lack it.',
      command: `evergrant keys rotate --to ${fresh ?? 'NEW-FINGERPRINT'}`,
    },
    { text: 'Put the new key first: new,old. Restart them one after the other.' },
    {
      text: 'Wait until every row is encrypted again. The leading scheduler does that in the background; the command does it at once.',
      command: 'evergrant keys reencrypt',
    },
    {
      text: 'Have it checked that nothing needs the old key any more, and take it out of FERNET_KEY. Keep it with the backups that were made under it.',
      command: `evergrant keys retire ${former ?? 'OLD-FINGERPRINT'}`,
    },
  ];
  return steps.map((step, index) => ({
    ...step,
    stage: now === undefined || index > now ? 'open' : index < now ? 'done' : 'next',
  }));
}

/** From so many days before its end a client secret is warned of, as by `evergrant doctor`. */
const WARN_DAYS = 30;

/** How long a client secret is good for still. */
export function secretEnd(endsAt: string | null | undefined, now: number): Trouble | undefined {
  const end = timeOf(endsAt);
  if (end === undefined) return undefined;
  const days = Math.floor((end - now) / (24 * 3600 * 1000));
  if (days < 0) {
    return {
      tone: 'bad',
      title: 'Has ended',
      text: 'The provider may refuse it: refreshes stop then, and connections are kept. Make a new one at the provider and put it in place.',
    };
  }
  const left = days === 0 ? 'Ends today' : `Ends in ${many(days, 'day')}`;
  if (days >= WARN_DAYS) return { tone: 'good', title: left, text: '' };
  return {
    tone: days < 7 ? 'bad' : 'warn',
    title: left,
    text: 'Make a second one at the provider, and give it to every process as AMAZON_CLIENT_SECRET_NEXT (or client_secret_next of the app) before then: it is tried when the first is refused.',
  };
}

/** What to do next to change keys, or to finish a change. */
export function nextStep(view: EncryptionKeys): string {
  const { keys, rows_left } = view;
  if (standingOf(view).tone === 'bad') return 'Mend what is said above first.';
  const waiting = keys.find(
    ({ role, rows, lacking }) => role === 'decrypts' && rows === 0 && lacking.length > 0,
  );
  if (waiting) {
    return `A key was given to some processes and not yet to ${holders(waiting.lacking)}. Give it to those as well, behind the present key, before any process encrypts with it.`;
  }
  if (rows_left > 0) return 'Wait until no row is left under a former key, and keep those keys until then.';
  const idle = keys.filter(({ is_idle }) => is_idle);
  if (idle.length > 0) {
    return `No row needs ${idle.map(({ fingerprint }) => fingerprint).join(', ')}. If it is a new key, put it first in FERNET_KEY of every process. If it is a former one, take it out; keep it with the backups that need it.`;
  }
  return 'To change keys, run “evergrant keys generate”, put the new key behind the present one in FERNET_KEY of every process, and restart them one after the other.';
}
