import type { BrowserContext, Page } from '@playwright/test';

import { account, expect, operatorSignsIn, signsIn, test } from './support/test';

const TABS = 5;

/** Reads the list again, as coming back to a tab does. */
async function comesBack(page: Page): Promise<void> {
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
}

/** How many answers of each tab said that the session has expired. */
function expiries(pages: readonly Page[]): Map<Page, number> {
  const counts = new Map(pages.map((page) => [page, 0]));
  for (const page of pages) {
    page.on('response', (response) => {
      const isOurs = new URL(response.url()).pathname.startsWith('/api/') && response.status() === 401;
      if (isOurs) counts.set(page, (counts.get(page) ?? 0) + 1);
    });
  }
  return counts;
}

/** Holds every refresh of the session until it is told to let them go: how many there were. */
async function holdRefreshes(context: BrowserContext) {
  let count = 0;
  let letGo: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  await context.route('**/api/auth/refresh', async (route) => {
    count += 1;
    await gate;
    await route.continue();
  });
  return { count: () => count, letGo };
}

test('five tabs with an expired session make one refresh', async ({ page, context, person }) => {
  await signsIn(page, person);
  const pages = [page];
  while (pages.length < TABS) {
    const tab = await context.newPage();
    await tab.goto('/connections');
    await expect(account(tab)).toContainText('Connected');
    pages.push(tab);
  }
  // From here on, every tab runs into the end of its token before any of them gets another.
  const refreshes = await holdRefreshes(context);
  const expired = expiries(pages);
  for (const tab of pages) {
    await expect(async () => {
      await comesBack(tab);
      expect(expired.get(tab)).toBeGreaterThan(0);
    }).toPass();
  }
  const again = pages.map((tab) =>
    tab.waitForResponse((response) => response.url().includes('/api/connections') && response.ok()),
  );
  refreshes.letGo();
  await Promise.all(again);
  expect(refreshes.count()).toBe(1);
  for (const tab of pages) await expect(account(tab)).toContainText('Connected');
});

test('a session that ends while the page is open is renewed unseen', async ({ page, person }) => {
  await signsIn(page, person);
  const expired = expiries([page]);
  const renewed = page.waitForResponse((response) => response.url().endsWith('/api/auth/refresh'), {
    timeout: 30_000,
  });
  await expect(async () => {
    await comesBack(page);
    expect(expired.get(page)).toBeGreaterThan(0);
  }).toPass();
  expect((await renewed).status()).toBe(200);
  await expect(account(page)).toContainText('Connected');
  await expect(page).toHaveURL(/\/connections$/);
});

test('signing out everywhere ends every session of a person, in other browsers too', async ({
  page,
  browser,
  world,
}) => {
  await operatorSignsIn(page, world);
  const elsewhere = await browser.newContext({ baseURL: world.urls.at(-1) ?? '' });
  const other = await elsewhere.newPage();
  await operatorSignsIn(other, world);

  await page.getByRole('button', { name: /^Account:/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out everywhere' }).click();
  await page.getByRole('button', { name: 'Sign out everywhere' }).click();
  await expect(page.getByText('You are signed out.')).toBeVisible();
  await expect(page).toHaveURL(/\/sign-in/);

  await expect(async () => {
    await comesBack(other);
    await expect(other).toHaveURL(/\/sign-in/, { timeout: 1_000 });
  }).toPass();
  await expect(other.getByText('Your session has ended.')).toBeVisible();
  await elsewhere.close();
});
