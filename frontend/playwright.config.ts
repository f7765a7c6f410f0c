import { defineConfig } from '@playwright/test';

import type { Options } from './e2e/support/test';
import { worlds } from './e2e/support/worlds';

/** `cargo xtask browser` starts the systems and says where they are. */
const isTakingPictures = process.env['EVERGRANT_SCREENSHOTS'] !== undefined;
/** A part of a test in tests/e2e, which has a system of its own. */
const script = process.env['EVERGRANT_BROWSER_SCRIPT'];

export default defineConfig<Options>({
  testDir: 'e2e',
  testMatch: isTakingPictures ? 'screenshots.ts' : (script ?? '*.spec.ts'),
  outputDir: process.env['EVERGRANT_BROWSER_OUTPUT'] ?? 'test-results',
  forbidOnly: true,
  reporter: [['list']],
  timeout: 90_000,
  // Longer than a token of the simulated Amazon lives, so that its end can be waited for.
  expect: { timeout: 30_000 },
  workers: worlds.length,
  use: {
    actionTimeout: 15_000,
    navigationTimeout: 15_000,
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    screenshot: 'only-on-failure',
    trace: 'retain-on-failure',
    launchOptions: { executablePath: process.env['EVERGRANT_CHROMIUM'] ?? 'chromium' },
  },
  // A fault of the simulated Amazon befalls everybody: one test at a time in each shape, and both shapes at once.
  projects: worlds.map((world) => ({
    name: world.shape,
    workers: 1,
    use: { world, baseURL: world.urls[0] },
  })),
});
