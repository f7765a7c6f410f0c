/** Why a sign-in or a reconnect did not work, in plain words, by the `?problem` of the landing page. */

import { isProblemKind, type ProblemKind } from '../services/api';

export interface LandingWords {
  readonly title: string;
  readonly text: string;
}

const WORDS: Partial<Record<ProblemKind, LandingWords>> = {
  'consent-denied': {
    title: 'You did not give the permission',
    text: 'Amazon says that you cancelled. Nothing was changed. You can try again whenever you like.',
  },
  'consent-failed': {
    title: 'Amazon’s answer was not accepted',
    text: 'This happens when the page of Amazon was open for too long. Begin again; it takes a few seconds.',
  },
  'invalid-state': {
    title: 'This link is used up',
    text: 'It works once, for ten minutes, and in the browser where it began. Begin again here.',
  },
  'other-account': {
    title: 'That was another Amazon account',
    text: 'You signed in to Amazon with another account than the one that is connected. Sign out at Amazon, then reconnect with the same account; or connect the other one beside it.',
  },
  'sign-in-refused': {
    title: 'This Amazon account may not sign in',
    text: 'It is not known here, or it has been switched off. Ask whoever runs Evergrant for you.',
  },
  'provider-unavailable': {
    title: 'Amazon does not answer',
    text: 'Amazon has trouble at the moment. Nothing was changed. Try again in a few minutes.',
  },
  'provider-rejected': {
    title: 'Amazon refused the new token',
    text: 'Check in Amazon Ads that your user has access to the account, then try again.',
  },
  'app-credentials-invalid': {
    title: 'Amazon refuses Evergrant’s app',
    text: 'That is not about you: an operator has to check the app’s settings at Amazon.',
  },
  'not-configured': {
    title: 'Amazon is not set up yet',
    text: 'Ask whoever runs Evergrant for you.',
  },
  'not-found': {
    title: 'That connection is gone',
    text: 'It was taken away meanwhile. Connect the account anew.',
  },
  unavailable: {
    title: 'Not possible for the moment',
    text: 'Evergrant could not store the result. Begin again in a moment.',
  },
};

const OTHERWISE: LandingWords = {
  title: 'That did not work',
  text: 'Nothing was changed. Begin again; if it happens once more, tell an operator the time of day.',
};

/** What the page says. The text of the address itself is never shown: whoever makes a link could write it. */
export function landingWords(problem: string | undefined): LandingWords {
  return (problem !== undefined && isProblemKind(problem) ? WORDS[problem] : undefined) ?? OTHERWISE;
}
