/** Every page, as it is when something is on it. */

import { expect, type Page } from '@playwright/test';

import { type Amazon, USELESS_TOKENS } from './amazon';
import { account, operatorSignsIn, refresh, signsIn } from './test';
import type { World } from './worlds';

export type Theme = 'light' | 'dark';
export const THEMES: readonly Theme[] = ['light', 'dark'];

/** Waits until nothing is loading any more. */
async function settled(page: Page): Promise<void> {
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.getByRole('status', { name: /^Loading/ })).toHaveCount(0);
}

/** What a person sees whose account is in need. */
async function signsInTo(
  page: Page,
  state: string,
  person: string,
  goesWrong: (person: string) => Promise<void>,
): Promise<void> {
  await signsIn(page, person);
  await goesWrong(person);
  await refresh(page).click();
  await expect(account(page)).toContainText(state);
}

/** Goes to every page in turn, and calls this on each. */
export async function visitAll(
  page: Page,
  { world, amazon, person }: { world: World; amazon: Amazon; person: string },
  onPage: (name: string) => Promise<void>,
): Promise<void> {
  const at = async (name: string, path: string) => {
    await page.goto(path);
    await settled(page);
    await onPage(name);
  };
  await at('sign-in', '/sign-in');
  await at('consent-denied', '/auth/error?problem=consent-denied');
  await signsIn(page, person);
  await at('connections', '/connections');
  await account(page).getByRole('link').first().click();
  await expect(page.getByRole('heading', { name: 'History' })).toBeVisible();
  await settled(page);
  await onPage('connection');
  const id = page.url().split('/').at(-1) ?? '';
  await at('not-found', '/nowhere');
  await page.context().clearCookies();

  await signsInTo(page, 'Reconnect needed', `${person}-revoked`, (name) => amazon.revoke(name));
  await at('connections-reconnect', '/connections');
  await page.context().clearCookies();
  await signsInTo(page, 'Having trouble', `${person}-troubled`, (name) =>
    amazon.breaks(USELESS_TOKENS, name),
  );
  await at('connections-trouble', '/connections');
  await page.context().clearCookies();

  await operatorSignsIn(page, world);
  await at('connections-none', '/connections');
  await page.goto('/ops');
  // Processes tell every few seconds what has happened.
  for (const chart of ['Refreshes', 'Success rate', 'Wait for a forced refresh', 'Queue depths'])
    await expect(page.getByRole('button', { name: `Table of ${chart}`, exact: true })).toBeVisible();
  await settled(page);
  await onPage('operations');
  await at('operations-connections', '/ops/connections');
  await at('operations-connections-none', '/ops/connections?state=disconnected');
  await at('operations-connection', `/ops/connections/${id}`);
  await page.getByRole('button', { name: /^Pause / }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Reason').fill('The agency moves to another account');
  await dialog.getByRole('button', { name: 'Pause', exact: true }).click();
  await expect(page.getByRole('link', { name: 'Show what is paused' })).toBeVisible();
  await page.reload();
  await settled(page);
  await onPage('operations-connection-paused');
  await at('operations-pauses', '/ops/pauses');
  await page
    .getByRole('row')
    .filter({ hasText: id.slice(-8) })
    .getByRole('button', { name: /^Resume / })
    .click();
  await dialog.getByRole('button', { name: 'Resume', exact: true }).click();
  await expect(page.getByRole('row').filter({ hasText: id.slice(-8) })).toHaveCount(0);
  await at('operations-processes', '/ops/processes');
  await at('operations-keys', '/ops/keys');
  await at('operations-failed-jobs', '/ops/failed-jobs');
  await page.getByRole('table').getByRole('link').first().click();
  await expect(page.getByRole('heading', { name: 'What went wrong' })).toBeVisible();
  await settled(page);
  await onPage('operations-failed-job');
}
