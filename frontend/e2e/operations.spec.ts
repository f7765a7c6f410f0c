import type { Page } from '@playwright/test';

import { USELESS_TOKENS } from './support/amazon';
import { account, expect, operatorSignsIn, refresh, signsIn, test } from './support/test';

/** What stands beside the title of the job. */
const state = (page: Page) => page.locator('.page-title .badge');

test('an operator finds a failed job and replays it', async ({ page, browser, person, amazon, world }) => {
  const theirs = await browser.newContext({ baseURL: world.urls[0] ?? '' });
  const owner = await theirs.newPage();
  await signsIn(owner, person);
  await amazon.breaks(USELESS_TOKENS, person);
  await refresh(owner).click();
  await expect(account(owner)).toContainText('Having trouble');
  await account(owner).getByRole('link').first().click();
  await expect(owner).toHaveURL(/\/connections\/[0-9a-f-]{36}$/);
  const id = owner.url().split('/').at(-1) ?? '';

  await operatorSignsIn(page, world);
  await page.getByRole('link', { name: 'Operations' }).click();
  await page
    .getByRole('navigation')
    .getByRole('link', { name: /Failed jobs/ })
    .click();
  const row = page.getByRole('row').filter({ has: page.locator(`a[href$="${id}"]`) });
  await expect(async () => {
    await page.reload();
    await expect(row.first()).toBeVisible({ timeout: 3_000 });
  }).toPass();
  await row.first().getByRole('link').first().click();
  await expect(page.getByRole('heading', { name: 'What went wrong' })).toBeVisible();

  // Amazon is well, but nobody knows: the scheduler asks again in minutes only.
  await amazon.mends();
  await expect(state(page)).toHaveText('Open');
  await page.getByRole('button', { name: 'Replay', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Reason (optional)').fill('Amazon is well again');
  await dialog.getByRole('button', { name: 'Replay', exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByRole('table', { name: /What operators did/ })).toContainText('Amazon is well again');
  await expect(state(page)).toHaveText('Replayed');
  await expect(page.getByRole('button', { name: 'Replay', exact: true })).toHaveCount(0);
  await owner.goto('/connections');
  await expect(account(owner)).toContainText('Connected');
  await theirs.close();
});

test('the pages of operators are for nobody else', async ({ page, person }) => {
  await signsIn(page, person);
  await expect(page.getByRole('link', { name: 'Operations' })).toHaveCount(0);
  await page.goto('/ops');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('This page is for operators');
});
