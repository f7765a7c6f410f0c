import { join } from 'node:path';

import { THEMES, visitAll } from './support/pages';
import { expect, signsIn, test } from './support/test';

const folder = process.env['EVERGRANT_SCREENSHOTS'] ?? '';

/** Who is there besides, so that lists look as they do in use: long names too. */
const OTHERS = [
  'acme-toys',
  'harbour-coffee-roasters',
  'lumen',
  'the-very-long-name-of-an-agency-that-advertises-for-many-others',
  'wild-river-outdoors',
];

/** The grant of the one ends for a picture, so that the next begins anew. */
const PEOPLE = { light: 'amzn1.account.nordlicht-books', dark: 'amzn1.account.nordlicht-music' };

test.describe.configure({ mode: 'serial' });

test('others are there', async ({ page }) => {
  for (const name of OTHERS) {
    await signsIn(page, `amzn1.account.${name}`);
    await page.context().clearCookies();
  }
});

for (const theme of THEMES) {
  test(`pictures of every page in ${theme}`, async ({ page, amazon, receiver, world }) => {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width: 1280, height: 900 });
    const picture = async (name: string, fullPage: boolean) => {
      await page.screenshot({ path: join(folder, `${name}-${theme}.png`), fullPage });
    };
    await visitAll(page, { world, amazon, receiver, person: PEOPLE[theme] }, async (name) => {
      // There are ten thousand connections: the begin of the list and the end of its second page say enough.
      const isLong = name === 'operations-connections';
      await picture(name, !isLong && name !== 'operations-connections-refresh');
      if (!isLong) return;
      await page.getByRole('button', { name: 'Next' }).click();
      await expect(page).toHaveURL(/after=/);
      await expect(page.getByRole('button', { name: 'Previous' })).toBeEnabled();
      await expect(page.getByRole('table')).toHaveAttribute('aria-busy', 'false');
      await page.getByRole('navigation', { name: 'Pages' }).scrollIntoViewIfNeeded();
      await picture(`${name}-next`, false);
    });
  });
}
