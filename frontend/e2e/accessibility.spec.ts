import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import type { Page } from '@playwright/test';

import { THEMES, visitAll } from './support/pages';
import { expect, test } from './support/test';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Found {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string | null;
    readonly help: string;
    readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary?: string }[];
  }[];
}

/** What keeps people from using the page as it stands: one line for each place. */
async function barriers(page: Page): Promise<readonly string[]> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<Found>('axe.run(document, { resultTypes: ["violations"] })');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${help} ${target.join(' ')} ${failureSummary ?? ''}`),
    );
}

for (const theme of THEMES) {
  test(`nobody is kept from using any page in ${theme}`, async ({
    page,
    amazon,
    person,
    receiver,
    world,
  }) => {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
    const found: string[] = [];
    await visitAll(page, { world, amazon, person, receiver }, async (name) => {
      found.push(...(await barriers(page)).map((barrier) => `${name}: ${barrier}`));
    });
    expect(found).toEqual([]);
  });
}

test('every page fits on a phone', async ({ page, amazon, person, receiver, world }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  const tooWide: string[] = [];
  await visitAll(page, { world, amazon, person, receiver }, async (name) => {
    const isTooWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (isTooWide) tooWide.push(name);
  });
  expect(tooWide).toEqual([]);
});
