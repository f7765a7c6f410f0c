import { account, expect, operatorSignsIn, signsIn, test } from './support/test';

test('an operator refreshes all that a filter names, and sees it counted', async ({
  page,
  browser,
  person,
  world,
}) => {
  // What is counted for whom is written down once a minute.
  test.setTimeout(180_000);
  const theirs = await browser.newContext({ baseURL: world.urls[0] ?? '' });
  const owner = await theirs.newPage();
  await signsIn(owner, person);
  await account(owner).getByRole('link').first().click();
  await expect(owner).toHaveURL(/\/connections\/[0-9a-f-]{36}$/);
  const id = owner.url().split('/').at(-1) ?? '';
  await theirs.close();

  await operatorSignsIn(page, world);
  await page.goto(`/ops/connections?text=${id}`);
  await page.getByRole('button', { name: 'Refresh all…' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('1 connection matches.');
  await dialog.getByLabel('Reason (optional)').fill('To see it counted');
  await dialog.getByRole('button', { name: 'Refresh 1 connection' }).click();
  await expect(dialog).toContainText('Refreshes asked for: 1 of 1.');
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.goto(`/ops/connections/${id}`);
  await expect(page.getByRole('table', { name: /What operators did/ })).toContainText('To see it counted');
  const user = new URL(
    (await page.getByRole('definition').getByRole('link').first().getAttribute('href')) ?? '',
    page.url(),
  ).searchParams.get('user');

  await expect(async () => {
    await page.goto(`/ops/usage?user=${encodeURIComponent(user ?? '')}`);
    await expect(page.getByRole('table', { name: /^Usage by day/ })).toBeVisible({ timeout: 3_000 });
  }).toPass({ timeout: 100_000, intervals: [3_000] });
  const row = page
    .getByRole('table', { name: /^Usage by day/ })
    .getByRole('row')
    .nth(1);
  await expect(row).toContainText('Amazon Ads, North America');
  await page.getByRole('button', { name: 'Table of Refreshes' }).click();
  // The days are in their order, as in the chart.
  const today = page.getByRole('table', { name: 'Refreshes' }).getByRole('row').last();
  await expect(today.getByRole('cell').nth(1)).toHaveText(/^[1-9]/);
  await page.getByRole('link', { name: 'Show everybody' }).click();
  await expect(page.getByRole('heading', { name: 'Users with the most' })).toBeVisible();
  await page.getByLabel('Ranked by').selectOption({ label: 'Failures' });
  await expect(page).toHaveURL(/by=failures/);
});
