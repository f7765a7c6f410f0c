import { join } from 'node:path';

import { THEMES, visitAll } from './support/pages';
import { test } from './support/test';

const folder = process.env['EVERGRANT_SCREENSHOTS'] ?? '';

for (const theme of THEMES) {
  test(`pictures of every page in ${theme}`, async ({ page, amazon, person, world }) => {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width: 1280, height: 900 });
    await visitAll(page, { world, amazon, person }, async (name) => {
      await page.screenshot({ path: join(folder, `${name}-${theme}.png`), fullPage: true });
    });
  });
}
