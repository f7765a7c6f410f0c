/** A browser in front of one of the systems. Whatever it complains about fails the test. */

import { test as base, type BrowserContext, expect, type Page } from '@playwright/test';

import { Amazon } from './amazon';
import { Receiver } from './receiver';
import type { World } from './worlds';

export interface Options {
  world: World;
}

interface Fixtures {
  amazon: Amazon;
  /** Somebody who is told by webhooks. */
  receiver: Receiver;
  /** A name at Amazon that nobody else has. */
  person: string;
  watched: undefined;
}

/** Chromium itself says this of every answer that is an error; what the page makes of those is what tests look at. */
const SAYS_A_STATUS =
  /^Failed to load resource: the server responded with a status of (?:401|409|422|429|503) /;

/** Everything that must not happen in a browser: errors, refusals of the policy, requests to anybody else. */
function watch(context: BrowserContext, world: World): readonly string[] {
  const complaints: string[] = [];
  const origins = [...world.urls, world.amazon];
  context.on('console', (message) => {
    const isBad = message.type() === 'error' || message.type() === 'warning';
    const text = message.text();
    // What Amazon's pages are like is Amazon's business.
    const isOurs = !message.location().url.startsWith(world.amazon);
    if (isBad && isOurs && !SAYS_A_STATUS.test(text)) complaints.push(`${message.type()}: ${text}`);
  });
  context.on('weberror', (error) => {
    complaints.push(`uncaught: ${error.error().message}`);
  });
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && !origins.includes(url.origin))
      complaints.push(`request to ${url.origin}`);
  });
  return complaints;
}

let people = 0;

export const test = base.extend<Fixtures & Options>({
  world: [undefined as unknown as World, { option: true }],
  amazon: async ({ request, world }, use) => {
    const amazon = new Amazon(request, world.amazon);
    await use(amazon);
    await amazon.mends();
  },
  // eslint-disable-next-line no-empty-pattern -- Playwright reads what a fixture needs out of its pattern
  receiver: async ({}, use) => {
    const receiver = await Receiver.listen();
    await use(receiver);
    await receiver.close();
  },
  person: async ({ world }, use, info) => {
    people += 1;
    await use(`amzn1.account.${world.shape}-${info.workerIndex}-${people}`);
  },
  watched: [
    async ({ context, world }, use) => {
      const complaints = watch(context, world);
      await use(undefined);
      expect(complaints, 'what the browser complained about').toEqual([]);
    },
    { auto: true },
  ],
});

/** Says yes on Amazon's consent page as this person. */
export async function consents(page: Page, person: string): Promise<void> {
  await expect(
    page.getByRole('heading', { name: 'Allow this app to use your Amazon account?' }),
  ).toBeVisible();
  await page.getByLabel('Sign in as').fill(person);
  await page.getByRole('button', { name: 'Allow' }).click();
}

/** Signs in with Amazon, which connects the account. */
export async function signsIn(page: Page, person: string): Promise<void> {
  await page.goto('/');
  await page.getByRole('button', { name: 'Sign in with Amazon' }).click();
  await consents(page, person);
  await expect(page.getByRole('heading', { name: 'Connections', level: 1 })).toBeVisible();
  await expect(account(page)).toContainText('Connected');
}

/** The one account on the list. */
export function account(page: Page) {
  return page.getByRole('list', { name: 'Your accounts' }).getByRole('article');
}

/** What refreshes it now. */
export function refresh(page: Page) {
  return page.getByRole('button', { name: /^Refresh now: / });
}

/** Signs in with e-mail address and password. */
export async function operatorSignsIn(page: Page, world: World): Promise<void> {
  await page.goto('/sign-in');
  await page.getByLabel('E-mail address').fill(world.email);
  await page.getByLabel('Password').fill(world.password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'Connections', level: 1 })).toBeVisible();
}

export { expect };
