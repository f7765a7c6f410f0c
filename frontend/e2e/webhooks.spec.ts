import { account, expect, operatorSignsIn, refresh, signsIn, test } from './support/test';

test('an operator makes a webhook, sees what it was told, and sends again what it missed', async ({
  page,
  browser,
  person,
  amazon,
  receiver,
  world,
}) => {
  await operatorSignsIn(page, world);
  await page.goto('/ops/webhooks');
  await page.getByRole('button', { name: 'New webhook' }).click();
  const dialog = page.getByRole('dialog');

  // Nothing inside is called, and the dialog says why.
  await dialog.getByLabel('Address').fill('http://169.254.169.254/latest/meta-data');
  await dialog.getByRole('button', { name: 'Make it' }).click();
  await expect(dialog.getByRole('alert')).toContainText('must not reach');
  await dialog.getByLabel('Address').fill(receiver.url);
  await dialog.getByLabel('Reconnect needed').check();
  await dialog.getByRole('button', { name: 'Make it' }).click();
  const secret = await dialog.getByLabel('Secret').inputValue();
  expect(secret).toMatch(/^whsec_/);
  await dialog.getByRole('button', { name: 'I have kept it' }).click();
  await expect(dialog).toBeHidden();
  await page.getByRole('link', { name: receiver.url }).click();
  await expect(page.getByRole('heading', { name: 'Deliveries' })).toBeVisible();
  // The secret was shown this once.
  expect(await page.content()).not.toContain(secret);

  await page.getByRole('button', { name: 'Send a test' }).click();
  await expect(page.getByText('The receiver took the test')).toBeVisible();
  expect(receiver.verified(secret, 'webhook.test')).toHaveLength(1);

  // It is away when a grant ends.
  receiver.status = 503;
  const theirs = await browser.newContext({ baseURL: world.urls[0] ?? '' });
  const owner = await theirs.newPage();
  await signsIn(owner, person);
  await amazon.revoke(person);
  await refresh(owner).click();
  await expect(account(owner)).toContainText('Reconnect needed');
  await theirs.close();
  const deliveries = page.getByRole('table', { name: /^Deliveries/ });
  await page.reload();
  await expect(deliveries).toContainText('On its way');
  await expect(deliveries).toContainText('503');

  // It is back: what it missed is sent again under the same id.
  receiver.status = 204;
  await deliveries.getByRole('button', { name: /^Replay / }).click();
  await dialog.getByLabel('Reason (optional)').fill('The receiver is back');
  await dialog.getByRole('button', { name: 'Replay', exact: true }).click();
  await expect(dialog).toBeHidden();
  await expect(deliveries).toContainText('Delivered');
  const told = receiver.verified(secret, 'connection.needs_reauth');
  expect(told.length).toBeGreaterThan(1);
  expect(new Set(told.map(({ id }) => id)).size).toBe(1);
  await expect(page.getByRole('table', { name: /What operators did/ })).toContainText('The receiver is back');

  await page.getByLabel('State').selectOption({ label: 'Given up' });
  await expect(page.getByRole('heading', { name: 'No delivery matches' })).toBeVisible();

  await page.getByRole('button', { name: 'Disable' }).click();
  await dialog.getByRole('button', { name: 'Disable' }).click();
  await expect(page.locator('.page-title')).toContainText('Disabled');
  await page.getByRole('button', { name: 'Delete' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await expect(page).toHaveURL(/\/ops\/webhooks$/);
  await expect(page.getByRole('link', { name: receiver.url })).toHaveCount(0);
});
