/** What states, reasons and verdicts are called in front of people who never read the documentation. */

import type { components } from '../services/api';

export type Connection = components['schemas']['Connection'];
export type ConnectionState = Connection['state'];
export type Reason = NonNullable<Connection['reason']>;
export type Verdict = components['schemas']['Attempt']['verdict'];

/** How good or bad something is. */
export type Tone = 'good' | 'warn' | 'bad' | 'info' | 'neutral';

export interface Words {
  readonly label: string;
  readonly tone: Tone;
  /** One or two sentences: what it means, and whether anything is to be done. */
  readonly meaning: string;
}

export const STATES: Record<ConnectionState, Words> = {
  active: {
    label: 'Connected',
    tone: 'good',
    meaning: 'Everything works. Tokens are refreshed before they end; you need not do anything.',
  },
  failing: {
    label: 'Having trouble',
    tone: 'warn',
    meaning: 'The last refreshes did not succeed. We keep trying; you need not do anything.',
  },
  suspect: {
    label: 'Being checked',
    tone: 'warn',
    meaning:
      'Amazon said once that your permission has ended. We ask again to be sure before you have to act.',
  },
  needs_reauth: {
    label: 'Reconnect needed',
    tone: 'bad',
    meaning: 'Your permission has ended. Reconnect this account to go on.',
  },
  disconnected: {
    label: 'Disconnected',
    tone: 'neutral',
    meaning: 'You disconnected this account. Its tokens are deleted here.',
  },
};

export const REASONS: Record<Reason, string> = {
  grant_invalid:
    'Amazon no longer accepts the permission you gave. It may have been removed in your Amazon account, or it has run out.',
  no_refresh_token: 'Amazon gave no permission that lasts, so the tokens cannot be refreshed.',
  undecryptable:
    'The stored tokens cannot be read. Reconnecting mends it; an operator may also be able to restore them.',
  unusable_answer: 'Amazon answered with something that cannot be used.',
  attempts_exhausted: 'Amazon could not be asked successfully for a while. We keep trying, less often.',
  grant_suspect: 'Amazon said once that the permission has ended. We are making sure.',
  by_user: 'You disconnected it.',
};

export const VERDICTS: Record<Verdict, Words> = {
  refreshed: { label: 'Refreshed', tone: 'good', meaning: 'Amazon gave a new token.' },
  transient: {
    label: 'Amazon unavailable',
    tone: 'warn',
    meaning: 'Amazon did not answer or had trouble of its own. It is tried again.',
  },
  throttled: {
    label: 'Asked to wait',
    tone: 'warn',
    meaning: 'Amazon asked for a pause. It is tried again after it.',
  },
  grant_invalid: {
    label: 'Permission refused',
    tone: 'bad',
    meaning: 'Amazon says that the permission has ended.',
  },
  app_fault: {
    label: 'Our app refused',
    tone: 'bad',
    meaning: 'Amazon refuses our own credentials. An operator has to act; your permission is not affected.',
  },
  unusable: {
    label: 'Answer not usable',
    tone: 'warn',
    meaning: 'Amazon answered with something that cannot be used. It is tried again.',
  },
};

/** The words for a state, also for one that a newer server has. */
export function stateWords(state: string): Words {
  return Object.hasOwn(STATES, state)
    ? STATES[state as ConnectionState]
    : { label: sentence(state), tone: 'neutral', meaning: '' };
}

/** The words for a verdict, also for one that a newer server has. */
export function verdictWords(verdict: string): Words {
  return Object.hasOwn(VERDICTS, verdict)
    ? VERDICTS[verdict as Verdict]
    : { label: sentence(verdict), tone: 'neutral', meaning: '' };
}

/** Why a connection is not well, in a sentence; empty if there is nothing to say. */
export function reasonWords(reason: string | null | undefined): string {
  if (!reason) return '';
  return Object.hasOwn(REASONS, reason) ? REASONS[reason as Reason] : `${sentence(reason)}.`;
}

const REGIONS: Record<string, string> = {
  'amazon-na': 'Amazon Ads, North America',
  'amazon-eu': 'Amazon Ads, Europe',
  'amazon-fe': 'Amazon Ads, Far East',
};

/** A provider app in words; apps that operators added are called by their own name. */
export function providerWords(provider: string): string {
  return REGIONS[provider] ?? provider;
}

/** What to call a connection, and its id at Amazon beside it if that is something else. */
export function accountWords({ label, account }: Pick<Connection, 'label' | 'account'>): {
  name: string;
  detail: string | undefined;
} {
  const name = label || account || 'Amazon account';
  return { name, detail: account && account !== name ? account : undefined };
}

/** The scopes of Amazon in words; others as they are. */
export function scopeWords(scopes: string): readonly string[] {
  const known: Record<string, string> = {
    'advertising::campaign_management': 'Campaigns and Marketing Cloud',
    'cpc_advertising:campaign_management': 'Campaigns and Marketing Cloud',
    'advertising::audiences': 'Audiences',
    'advertising::test:create_account': 'Test accounts',
    profile: 'Your name and e-mail address',
    'profile:user_id': 'Your Amazon user id',
    postal_code: 'Your postal code',
  };
  const words = scopes.split(/\s+/).filter(Boolean);
  return [...new Set(words.map((scope) => known[scope] ?? scope))];
}

/** `needs_reauth` as `Needs reauth`. */
export function sentence(word: string): string {
  return capital(word.replaceAll(/[_-]+/g, ' ').trim());
}

/** What a program told, as a sentence begins. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
