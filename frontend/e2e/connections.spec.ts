import { account, consents, expect, refresh, signsIn, test } from './support/test';

test('a person signs in through the consent page, is connected, and is still there after a reload', async ({
  page,
  person,
  world,
}) => {
  await signsIn(page, person);

  for (const url of world.urls) {
    await page.goto(`${url}/connections`);
    await expect(account(page)).toContainText('Connected');
  }
});

test('whoever does not consent is told so and can try again', async ({ page }) => {
  await page.goto('/sign-in');
  await page.getByRole('button', { name: 'Sign in with Amazon' }).click();
  await page.getByRole('button', { name: 'Deny' }).click();
  await expect(page).toHaveURL(/\/auth\/error/);
  await expect(page.getByRole('heading', { name: 'You did not give the permission' })).toBeVisible();
  await page.getByRole('main').getByRole('link').click();
  await expect(page.getByRole('button', { name: 'Sign in with Amazon' })).toBeVisible();
});

test('a token that ends while the page is open is refreshed unseen', async ({ page, person }) => {
  await signsIn(page, person);
  const refused: string[] = [];
  page.on('response', (response) => {
    if (response.status() === 409 || response.status() === 503) refused.push(response.url());
  });
  const ends = account(page).locator('dt', { hasText: 'Token ends' }).locator('xpath=following-sibling::dd');
  const first = await ends.getByRole('time').getAttribute('datetime');
  expect(first).not.toBeNull();
  // The first token of the simulated Amazon is good for twenty seconds: what is shown then belongs to the next.
  await expect(ends.getByRole('time')).not.toHaveAttribute('datetime', first ?? '');
  await expect(ends).toHaveText(/^in /);
  await expect(account(page)).toContainText('Connected');
  await expect(page.getByRole('alert').filter({ hasText: /./ })).toHaveCount(0);
  expect(refused).toEqual([]);
});

test('a grant that has ended is told and mended with one button', async ({ page, person, amazon }) => {
  await signsIn(page, person);
  await amazon.revoke(person);
  const banner = page.getByRole('main').getByText(/needs your permission again/);
  await expect(banner).toBeVisible();
  await expect(account(page)).toContainText('Reconnect needed');
  await page.getByRole('button', { name: 'Reconnect', exact: true }).first().click();
  await consents(page, person);
  await expect(account(page)).toContainText('Connected');
  await expect(banner).toBeHidden();
});

test('an outage of Amazon is told, costs no connection, and is over by itself', async ({
  page,
  person,
  amazon,
}) => {
  await signsIn(page, person);
  await amazon.breaks({ kind: 'status', status: 503, on: 'any' });
  await refresh(page).click();
  await expect(page.getByText('Amazon does not answer')).toBeVisible();
  await page.getByRole('article').getByRole('link').first().click();
  await expect(page.getByRole('heading', { name: 'History' })).toBeVisible();
  await expect(page.getByText('Amazon unavailable').first()).toBeVisible();
  await expect(page.getByText('Reconnect needed')).toHaveCount(0);

  await amazon.mends();
  await page.goto('/connections');
  await expect(async () => {
    await refresh(page).click();
    await expect(page.getByText(/has a new token/).first()).toBeVisible({ timeout: 2_000 });
  }).toPass({ timeout: 30_000 });
  await expect(account(page)).toContainText('Connected');
});
