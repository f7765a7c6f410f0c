/** What operators read: the words of the system with what is to be done. */

import { sentence, type Tone, type Words } from '../../lib/words';
import type { Asked, AuditEntry, Dealt, ProviderApp } from './shapes';

const count = new Intl.NumberFormat('en');

export const number = (value: number) => count.format(value);

/** `1 job`, `1,200 jobs`. */
export function many(value: number, one: string, more = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : more}`;
}

export const KINDS: Record<string, string> = {
  refresh_due: 'Refresh before the end',
  force_refresh: 'Refresh on demand',
};

export const kindWords = (kind: string) => KINDS[kind] ?? kind;

/** A connection's state, for whoever does not own it. */
export const STATE_MEANINGS: Record<string, string> = {
  active: 'Works. Its token is refreshed before it ends.',
  failing: 'The last refreshes did not succeed. It is tried again by itself.',
  suspect: 'The provider said once that the grant has ended. It is asked again before the user has to act.',
  needs_reauth: 'The grant has ended. Only its user can mend it, by connecting again.',
  disconnected: 'Its user or an operator took it away. No tokens are kept.',
};

/** What counts while a connection is paused, whatever its state is. */
export const PAUSED_MEANING =
  'It is not refreshed until it is resumed: what it has works until its token ends.';

export const REASON_WORDS: Record<string, string> = {
  grant_invalid: 'The provider refuses the grant',
  no_refresh_token: 'No refresh token was given',
  undecryptable: 'Tokens cannot be decrypted',
  unusable_answer: 'Answers cannot be used',
  attempts_exhausted: 'All attempts failed',
  grant_suspect: 'The grant is being checked',
  by_user: 'Taken away by its user',
};

export const reasonLabel = (reason: string) => REASON_WORDS[reason] ?? sentence(reason);

export const JOB_STATES: Record<string, Words> = {
  open: { label: 'Open', tone: 'warn', meaning: 'Nobody has dealt with it.' },
  replayed: {
    label: 'Replayed',
    tone: 'good',
    meaning: 'It was done again, or there was nothing left to do.',
  },
  discarded: { label: 'Discarded', tone: 'neutral', meaning: 'It was given up for good.' },
};

export function jobStateWords(state: string): Words {
  return JOB_STATES[state] ?? { label: sentence(state), tone: 'neutral', meaning: '' };
}

/** What came of a job, as a heading over a number. */
const OUTCOMES: Record<Dealt['outcome'], Words> = {
  published: {
    label: 'Refresh in the queue',
    tone: 'good',
    meaning: 'The connection is refreshed within seconds.',
  },
  made_due: {
    label: 'Made due',
    tone: 'good',
    meaning: 'The scheduler takes the connection up within seconds.',
  },
  moved_on: { label: 'Nothing left to do', tone: 'good', meaning: 'The connection was refreshed since.' },
  discarded: { label: 'Discarded', tone: 'neutral', meaning: 'Given up for good.' },
  under_way: { label: 'Under way', tone: 'info', meaning: 'A worker refreshes the connection right now.' },
  app_held: {
    label: 'Provider app paused',
    tone: 'warn',
    meaning: 'Mend the provider app first. The connections are also tried again by themselves.',
  },
  paused: {
    label: 'Paused',
    tone: 'warn',
    meaning: 'An operator holds it back: resumed, it is refreshed by itself as soon as it is due.',
  },
  needs_reauth: {
    label: 'User has to connect again',
    tone: 'bad',
    meaning: 'Replaying does not help. After the user has connected again, discard these.',
  },
  disconnected: {
    label: 'Disconnected',
    tone: 'neutral',
    meaning: 'The connection was taken away. Discard these.',
  },
  connection_gone: { label: 'No such connection', tone: 'neutral', meaning: 'Discard these.' },
  unreadable: {
    label: 'Cannot be read',
    tone: 'bad',
    meaning: 'Open each and replay it with an edited payload, or discard these.',
  },
  already_closed: { label: 'Dealt with already', tone: 'neutral', meaning: 'Somebody was faster.' },
  not_found: { label: 'Not there', tone: 'neutral', meaning: 'There is no such failed job any more.' },
};

export function outcomeWords(outcome: string): Words {
  return Object.hasOwn(OUTCOMES, outcome)
    ? OUTCOMES[outcome as Dealt['outcome']]
    : { label: sentence(outcome), tone: 'neutral', meaning: '' };
}

/** What is said otherwise where no failed job is spoken of. */
const REFRESH_MEANINGS: Partial<Record<Asked, string>> = {
  app_held: 'Mend the provider app first. What is due is then refreshed by itself.',
  needs_reauth: 'No refresh helps: the user has to connect again, or the key has to be given back.',
  disconnected: 'Its user or an operator took it away.',
};

/** What came of a connection that was to be refreshed. */
export function refreshOutcomeWords(outcome: string): Words {
  const meaning = Object.hasOwn(REFRESH_MEANINGS, outcome) ? REFRESH_MEANINGS[outcome as Asked] : undefined;
  return { ...outcomeWords(outcome), ...(meaning === undefined ? {} : { meaning }) };
}

/** The compiler refuses an action of the API that has no words. */
const ACTIONS: Record<AuditEntry['action'], string> = {
  replay_job: 'Replay',
  discard_job: 'Discard',
  refresh_connection: 'Refresh by hand',
  pause: 'Pause',
  resume: 'Resume',
  drain_worker: 'Drain',
  resume_worker: 'Take back in',
  rotate_key: 'Rotate the key',
  reencrypt: 'Encrypt again',
  retire_key: 'Retire a key',
  create_webhook: 'Make a webhook',
  update_webhook: 'Change a webhook',
  delete_webhook: 'Delete a webhook',
  rotate_webhook_secret: 'New webhook secret',
  test_webhook: 'Test a webhook',
  replay_webhook: 'Replay webhooks',
  disconnect_connection: 'Disconnect',
};

export const actionWords = (action: string) =>
  Object.hasOwn(ACTIONS, action) ? ACTIONS[action as AuditEntry['action']] : sentence(action);

export const ROLES: Record<string, string> = {
  serve: 'Everything in one',
  scheduler: 'Scheduler',
  worker: 'Worker',
  api: 'API',
};

export const roleWords = (role: string) => ROLES[role] ?? sentence(role);

interface AppWords {
  readonly label: string;
  readonly tone: Tone;
  /** What it means and what to do. */
  readonly advice: string;
}

/** How a provider app stands, and what to do about it. */
export function appWords({ state, is_configured }: Pick<ProviderApp, 'state' | 'is_configured'>): AppWords {
  if (!is_configured) {
    return {
      label: 'Not configured',
      tone: 'neutral',
      advice: 'This process has no client id and secret for it, so it connects no new accounts.',
    };
  }
  if (state === 'open') {
    return { label: 'Open', tone: 'good', advice: 'Refreshes go through. There is nothing to do.' };
  }
  if (state === 'outage') {
    return {
      label: 'Outage',
      tone: 'warn',
      advice:
        'The provider does not answer, so its refreshes are paused; no connection is lost. One probe at a time goes through, and its success opens the app again. There is nothing to do.',
    };
  }
  return {
    label: 'Fault',
    tone: 'bad',
    advice:
      'The provider refuses our own client id or secret. Check them at the provider and in the configuration, then restart. Connections are kept and go on by themselves after that.',
  };
}
