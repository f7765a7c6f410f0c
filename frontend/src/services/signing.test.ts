import { expect, test } from 'vitest';

import { ApiProblem, SessionUnavailable } from './problems.js';
import { FakeBrowser } from './testing/browser.js';
import { FakeServer, LATENCY_MS, problem, tokens } from './testing/server.js';
import { failure, outcome, ownTime, pass, value } from './testing/time.js';

ownTime();

function fresh() {
  const server = new FakeServer();
  const browser = new FakeBrowser(server);
  return { server, browser, tab: browser.openTab() };
}

test('after a reload the cookie gives a new token, and the state comes back', async () => {
  const { server, tab } = fresh();
  expect(tab.client.session.state).toBe('unknown');
  expect(await value(tab.client.session.restore())).toBe('signed-in');
  expect(tab.heard).toEqual(['signed-in']);
  expect(await value(tab.client.session.restore())).toBe('signed-in');
  expect(server.refreshes).toBe(1);
});

test('requests that are sent before anything is known find the session by themselves', async () => {
  const { server, tab } = fresh();
  await value(Promise.all([tab.api.get('/a'), tab.api.get('/b')]));
  expect(server.refreshes).toBe(1);
});

test('nobody signed in is no session that ended', async () => {
  const { server, tab } = fresh();
  server.script('/auth/refresh', () => problem(401, 'unauthenticated'));
  expect(await value(tab.client.session.restore())).toBe('signed-out');
  expect(tab.told).toEqual([{ name: 'signed-out', what: { reason: 'not-signed-in' } }]);
  expect(((await failure(tab.api.get('/a'))) as ApiProblem).kind).toBe('unauthenticated');
  expect(server.refreshes).toBe(1);
});

test('a server that is away says nothing about who is signed in', async () => {
  const { server, tab } = fresh();
  server.script('/auth/refresh', () => problem(503, 'unavailable', { retry_after: 3 }));
  expect(await failure(tab.client.session.restore())).toBeInstanceOf(SessionUnavailable);
  expect(tab.client.session.state).toBe('unknown');
  server.script('/auth/refresh');
  await pass(3_000);
  expect(await value(tab.client.session.restore())).toBe('signed-in');
});

test("the original's calls sign in and out: the answers are taken as they come by", async () => {
  const { server, browser, tab } = fresh();
  const other = browser.openTab();
  server.script('/auth/refresh', () => problem(401, 'unauthenticated'));
  await value(other.client.session.restore());
  await value(tab.api.post('/auth/login', null, { params: { email: 'ada@example.com', password: 'x' } }));
  await pass(100);
  expect(tab.client.session.state).toBe('signed-in');
  expect(other.client.session.state).toBe('signed-in');
  await value(other.api.get('/a'));
  expect(server.calls.at(-1)?.bearer).toBe('token-1');
  await value(tab.api.post('/auth/logout'));
  await pass(100);
  expect(tab.told.at(-1)).toEqual({ name: 'signed-out', what: { reason: 'by-user' } });
  expect(other.told.at(-1)).toEqual({ name: 'signed-out', what: { reason: 'by-user' } });
});

test('a wrong password is told as such and refreshes nothing', async () => {
  const { server, tab } = fresh();
  server.script('/auth/login', () => problem(401, 'wrong-password'));
  expect(((await failure(tab.api.post('/auth/login', {}))) as ApiProblem).kind).toBe('wrong-password');
  expect(server.calls).toHaveLength(1);
});

test('a call of the refresh by the app itself starts no other, and its token is taken', async () => {
  const { server, tab } = fresh();
  await value(tab.client.session.restore());
  server.script(
    '/auth/refresh',
    () => tokens('token-9'),
    () => problem(401, 'session-expired'),
  );
  await value(tab.api.post('/auth/refresh'));
  expect(server.refreshes).toBe(2);
  server.present = 9;
  await value(tab.api.get('/a'));
  expect(server.refreshes).toBe(2);
  await failure(tab.api.post('/auth/refresh'));
  expect(server.refreshes, 'its refusal is no reason for another').toBe(3);
  expect(tab.heard.at(-1)).toBe('signed-out');
});

test('signing out everywhere says so, and counts as done when the session turns out to be over', async () => {
  const { server, tab } = fresh();
  await value(tab.client.session.restore());
  server.script('/auth/logout', () => problem(401, 'session-ended'));
  await value(tab.client.session.signOut({ everywhere: true }));
  expect(tab.heard).toEqual(['signed-in', 'signed-out']);
});

test('a sign-out that did not reach the server is not shown as one', async () => {
  const { server, tab } = fresh();
  await value(tab.client.session.restore());
  server.script('/auth/logout', () => problem(503, 'unavailable'));
  expect(await failure(tab.client.session.signOut())).toBeInstanceOf(ApiProblem);
  expect(tab.client.session.state).toBe('signed-in');
});

test('a refresh that ends after the sign-out brings nobody back', async () => {
  const { server, tab } = fresh();
  await value(tab.client.session.restore());
  await pass(500);
  server.expire();
  server.script('/auth/refresh', async () => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return tokens('token-2');
  });
  const late = tab.api.get('/a');
  await pass(3 * LATENCY_MS);
  await value(tab.client.session.signOut());
  expect((await outcome(late)).status).toBe('rejected');
  expect(server.refreshes, 'it was under way').toBe(2);
  expect(tab.client.session.state).toBe('signed-out');
  expect(tab.heard).toEqual(['signed-in', 'signed-out']);
});

test('a listener that fails keeps no request from its answer', async () => {
  const { tab } = fresh();
  const thrown: unknown[] = [];
  const caught = (error: unknown) => void thrown.push(error);
  process.once('uncaughtException', caught);
  tab.client.on('signed-in', () => {
    throw new Error('of the page');
  });
  await value(tab.api.get('/a'));
  await pass(10);
  process.removeListener('uncaughtException', caught);
  expect(thrown).toHaveLength(1);
});
