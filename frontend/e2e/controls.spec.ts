import { account, expect, operatorSignsIn, refresh, signsIn, test } from './support/test';

const WHY = 'A browser looks at it';

test('an operator pauses a connection: it is not refreshed, everybody is told why, and resuming ends it', async ({
  page,
  browser,
  person,
  world,
}) => {
  const theirs = await browser.newContext({ baseURL: world.urls[0] ?? '' });
  const owner = await theirs.newPage();
  await signsIn(owner, person);
  await account(owner).getByRole('link').first().click();
  await expect(owner).toHaveURL(/\/connections\/[0-9a-f-]{36}$/);
  const id = owner.url().split('/').at(-1) ?? '';

  await operatorSignsIn(page, world);
  await page.goto(`/ops/connections/${id}`);
  await page.getByRole('button', { name: /^Pause / }).click();
  const dialog = page.getByRole('dialog');
  // Whoever meets the pause is told why, so that there has to be a reason.
  await expect(dialog.getByRole('button', { name: 'Pause', exact: true })).toBeDisabled();
  await dialog.getByLabel('Reason').fill(WHY);
  await dialog.getByRole('button', { name: 'Pause', exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect(page.locator('.page-title')).toContainText('Paused');
  await expect(page.getByRole('table', { name: /What operators did/ })).toContainText(WHY);
  await expect(page.getByRole('button', { name: 'Refresh now' })).toHaveCount(0);

  // Its owner is told, and is not refreshed by asking either.
  await owner.goto('/connections');
  await expect(account(owner)).toContainText(WHY);
  const refused = owner.waitForResponse((response) => response.url().endsWith('/force-refresh'));
  await refresh(owner).click();
  expect((await refused).status()).toBe(503);
  await expect(owner.getByText('An operator has paused this')).toBeVisible();
  // Its token lives for twenty seconds, and no other comes: what is shown is that of the end.
  const ends = account(owner).locator('dt', { hasText: 'Token ends' }).locator('xpath=following-sibling::dd');
  await expect(ends).toHaveText(/ ago$/);

  // The band leads to it from every page.
  await page.goto('/ops');
  await page.getByRole('link', { name: 'Show what is paused' }).click();
  await expect(page.getByRole('heading', { name: 'Pauses', level: 1 })).toBeVisible();
  const row = page.getByRole('row').filter({ has: page.locator(`a[href$="${id}"]`) });
  await expect(row).toContainText(WHY);
  await row.getByRole('button', { name: /^Resume / }).click();
  await dialog.getByRole('button', { name: 'Resume', exact: true }).click();
  await expect(row).toHaveCount(0);

  await expect(ends).toHaveText(/^in /);
  await expect(account(owner)).not.toContainText(WHY);
  await theirs.close();
});
