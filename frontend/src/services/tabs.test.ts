import { expect, test } from 'vitest';

import { SessionUnavailable } from './problems.js';
import { FakeBrowser, type Tab } from './testing/browser.js';
import { FakeServer, LATENCY_MS, problem, tokens } from './testing/server.js';
import { outcome, ownTime, pass, value } from './testing/time.js';

ownTime();

async function signedIn(count: number): Promise<{ server: FakeServer; browser: FakeBrowser; tabs: Tab[] }> {
  const server = new FakeServer();
  const browser = new FakeBrowser(server);
  const tabs = browser.openTabs(count);
  for (const tab of tabs) await value(tab.client.session.restore());
  await pass(500);
  for (const tab of tabs) tab.told.length = 0;
  server.calls.length = 0;
  return { server, browser, tabs };
}

const askAll = (tabs: Tab[]) =>
  Promise.allSettled(tabs.flatMap((tab) => [tab.api.get('/a'), tab.api.post('/b')]));

test('five tabs with an expired session make one refresh', async () => {
  const { server, tabs } = await signedIn(5);
  server.expire();
  const results = await value(askAll(tabs));
  expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
  expect(server.refreshes).toBe(1);
  expect(server.calls).toHaveLength(21);
  for (const tab of tabs) expect(tab.heard).toEqual(['session-refreshed']);
});

test('five tabs that come back together after the browser was closed make one refresh', async () => {
  const server = new FakeServer();
  const tabs = new FakeBrowser(server).openTabs(5);
  const restored = await value(Promise.all(tabs.map((tab) => tab.client.session.restore())));
  expect(restored).toEqual(Array(5).fill('signed-in'));
  expect(server.refreshes).toBe(1);
});

test('tabs that find out one after the other make one refresh, also while its news is on the way', async () => {
  const { server, tabs } = await signedIn(5);
  server.expire();
  const asked = tabs.map(async (tab, n) => {
    await new Promise((resolve) => setTimeout(resolve, n * LATENCY_MS));
    return tab.api.get('/a');
  });
  await value(Promise.all(asked));
  expect(server.refreshes).toBe(1);
});

test('when the tab that refreshes dies, the next goes on', async () => {
  const { server, tabs } = await signedIn(3);
  const [first, ...others] = tabs as [Tab, ...Tab[]];
  server.expire();
  server.script(
    '/auth/refresh',
    () => new Promise<Response>(() => undefined),
    () => tokens('token-2'),
  );
  void first.api.get('/a').catch(() => undefined);
  await pass(3 * LATENCY_MS);
  expect(server.refreshes).toBe(1);
  const asked = askAll(others);
  await pass(1_000);
  first.die();
  const results = await value(asked, 2_000);
  expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
  expect(server.refreshes).toBe(2);
});

test('a tab that goes as soon as its refresh is done has told the others', async () => {
  const { server, tabs } = await signedIn(2);
  const [first, second] = tabs as [Tab, Tab];
  server.expire();
  first.client.on('session-refreshed', () => {
    setTimeout(() => {
      first.die();
    }, 1);
  });
  void first.api.get('/a').catch(() => undefined);
  await value(second.api.get('/a'));
  expect(server.refreshes).toBe(1);
});

test('messages that were overtaken bring back neither a session nor an older token', async () => {
  const { server, browser, tabs } = await signedIn(2);
  const [first, second] = tabs as [Tab, Tab];
  const channel = browser.openChannel(second, 'evergrant-session');
  const old = { type: 'refreshed', token: { text: 'token-0', expiresAt: Date.now() } };
  channel.postMessage(old);
  await pass(100);
  await value(first.api.get('/a'));
  expect(server.refreshes).toBe(0);
  await value(first.client.session.signOut());
  channel.postMessage({ ...old, token: { text: 'token-1', expiresAt: Date.now() + 900_000 } });
  await pass(100);
  expect(first.client.session.state).toBe('signed-out');
});

test('a tab that holds the lock and hangs stops the others for a while, not for ever', async () => {
  const { server, browser, tabs } = await signedIn(2);
  const [first, second] = tabs as [Tab, Tab];
  void browser.request(first, 'evergrant-session', {}, () => new Promise(() => undefined));
  await pass(5);
  server.expire();
  await value(second.api.get('/a'), 30_000);
  expect(server.refreshes).toBe(1);
});

test('a refresh that fails in one tab fails in all of them, and is not tried by each', async () => {
  const { server, tabs } = await signedIn(5);
  server.expire();
  server.script('/auth/refresh', () => problem(503, 'unavailable', { retry_after: 10 }));
  const results = await value(askAll(tabs));
  for (const result of results)
    expect((result as PromiseRejectedResult).reason).toBeInstanceOf(SessionUnavailable);
  expect(server.refreshes).toBe(1);
  await pass(5_000);
  await value(askAll(tabs));
  expect(server.refreshes, 'the wait holds in every tab').toBe(1);
  server.script('/auth/refresh');
  await pass(5_000);
  expect((await value(askAll(tabs))).every(({ status }) => status === 'fulfilled')).toBe(true);
  expect(server.refreshes).toBe(2);
});

test('a session that has ended is told once in every tab', async () => {
  const { server, tabs } = await signedIn(5);
  server.expire();
  server.script('/auth/refresh', () => problem(401, 'session-ended'));
  await value(askAll(tabs));
  await pass(100);
  expect(server.refreshes).toBe(1);
  for (const tab of tabs) {
    expect(tab.told).toEqual([{ name: 'signed-out', what: { reason: 'session-ended' } }]);
    expect(tab.client.session.state).toBe('signed-out');
  }
});

test('signing out in one tab signs out in all, and signing in again signs in all', async () => {
  const { server, tabs } = await signedIn(3);
  const [first, ...others] = tabs as [Tab, ...Tab[]];
  await value(first.client.session.signOut());
  await pass(100);
  for (const tab of tabs) expect(tab.told).toEqual([{ name: 'signed-out', what: { reason: 'by-user' } }]);
  server.hasSession = true;
  await value(first.client.session.restore());
  await pass(100);
  for (const tab of others) {
    expect(tab.heard).toEqual(['signed-out', 'signed-in']);
    expect((await outcome(tab.api.get('/a'))).status).toBe('fulfilled');
  }
  expect(server.refreshes).toBe(1);
});

test('a tab that was never signed in takes nobody else out', async () => {
  const { server, browser, tabs } = await signedIn(1);
  server.script('/auth/refresh', () => problem(401, 'unauthenticated'));
  const other = browser.openTab();
  await value(other.client.session.restore());
  await pass(100);
  expect(tabs[0]?.client.session.state).toBe('signed-in');
});

test('without locks and channels each tab refreshes once for itself', async () => {
  const server = new FakeServer();
  const browser = new FakeBrowser(server);
  const tabs = [1, 2].map(() => browser.openTab({ locks: undefined, openChannel: undefined }));
  for (const tab of tabs) await value(tab.client.session.restore());
  server.calls.length = 0;
  server.expire();
  const results = await value(askAll(tabs));
  expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
  expect(server.refreshes).toBe(2);
});

test('a browser that has locks and refuses them is like one that has none', async () => {
  const server = new FakeServer();
  const refused = () => Promise.reject(new DOMException('Not here.', 'SecurityError'));
  const tab = new FakeBrowser(server).openTab({ locks: { request: refused } });
  expect(await value(tab.client.session.restore())).toBe('signed-in');
  expect(server.refreshes).toBe(1);
});
