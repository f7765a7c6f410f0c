/** Every page, as it is when something is on it. */

import { expect, type Page } from '@playwright/test';

import { type Amazon, USELESS_TOKENS } from './amazon';
import type { Receiver } from './receiver';
import { account, operatorSignsIn, refresh, signsIn, test } from './test';
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
  { world, amazon, person, receiver }: { world: World; amazon: Amazon; person: string; receiver: Receiver },
  onPage: (name: string) => Promise<void>,
): Promise<void> {
  // What is counted for whom is written down once a minute.
  test.setTimeout(240_000);
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
  await page.getByRole('button', { name: 'Refresh all…' }).click();
  await expect(page.getByRole('dialog').getByText(/ connections? match/)).toBeVisible();
  await expect(page.getByRole('dialog').getByText('They are being counted.')).toHaveCount(0);
  await onPage('operations-connections-refresh');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
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
  await webhooks(page, { amazon, person, receiver, id }, at, onPage);
  await expect(async () => {
    await page.goto('/ops/usage');
    await expect(page.getByRole('list', { name: 'Numbers' })).toBeVisible({ timeout: 3_000 });
  }).toPass({ timeout: 75_000, intervals: [2_000] });
  await settled(page);
  await onPage('operations-usage');
}

type At = (name: string, path: string) => Promise<void>;

/** A receiver that is told of a grant that has ended, and taken away again. */
async function webhooks(
  page: Page,
  { amazon, person, receiver, id }: { amazon: Amazon; person: string; receiver: Receiver; id: string },
  at: At,
  onPage: (name: string) => Promise<void>,
): Promise<void> {
  await at('operations-webhooks-none', '/ops/webhooks');
  await page.getByRole('button', { name: 'New webhook' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Address').fill(receiver.url);
  await dialog.getByLabel('What it is for').fill('Pages whoever is on duty');
  await dialog.getByLabel('Provider app at fault').check();
  await dialog.getByLabel('Reconnect needed').check();
  await onPage('operations-webhook-new');
  await dialog.getByRole('button', { name: 'Make it' }).click();
  await dialog.getByRole('button', { name: 'I have kept it' }).click();
  await expect(page.getByRole('link', { name: receiver.url })).toBeVisible();
  await at('operations-webhooks', '/ops/webhooks');
  await page.getByRole('link', { name: receiver.url }).click();
  await expect(page.getByRole('heading', { name: 'Deliveries' })).toBeVisible();
  const endpoint = page.url();

  await amazon.revoke(person);
  await page.goto(`/ops/connections/${id}`);
  await page.getByRole('button', { name: 'Refresh now' }).click();
  await expect(page.locator('.page-title')).toContainText('Reconnect needed');
  await page.goto(endpoint);
  await expect(page.getByRole('table', { name: /^Deliveries/ })).toContainText('Delivered');
  await page.getByRole('button', { name: 'Send a test' }).click();
  await expect(page.getByText('The receiver took the test')).toBeVisible();
  await settled(page);
  await onPage('operations-webhook');

  await page.getByRole('button', { name: 'Delete' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await expect(page).toHaveURL(/\/ops\/webhooks$/);
}
