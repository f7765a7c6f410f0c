import { inspect } from 'node:util';

import type { AxiosError } from 'axios';
import { expect, test } from 'vitest';

import { ApiProblem, SessionUnavailable } from './problems.js';
import { FakeBrowser, type Tab } from './testing/browser.js';
import { broken, FakeServer, LATENCY_MS, problem, tokens } from './testing/server.js';
import { failure, outcome, ownTime, pass, value } from './testing/time.js';

ownTime();

/** A tab that is signed in, and a server that has not been asked for anything since. */
async function signedIn(): Promise<{ server: FakeServer; tab: Tab }> {
  const server = new FakeServer();
  const tab = new FakeBrowser(server).openTab();
  await value(tab.client.session.restore());
  await pass(500);
  server.calls.length = 0;
  tab.told.length = 0;
  return { server, tab };
}

const all = (tab: Tab, count: number) =>
  Promise.allSettled(Array.from({ length: count }, (_, n) => tab.api.get(`/things/${n}`)));

const kinds = (results: PromiseSettledResult<unknown>[]) =>
  results.map((result) =>
    result.status === 'fulfilled'
      ? 'ok'
      : result.reason instanceof ApiProblem
        ? result.reason.kind
        : String(result.reason),
  );

test('a request carries the bearer and the header that no foreign page can send', async () => {
  const { server, tab } = await signedIn();
  const { data } = await value(tab.api.get<unknown>('/connections'));
  expect(data).toEqual({ path: '/connections' });
  expect(server.calls[0]?.bearer).toBe('token-1');
  expect(server.calls[0]?.headers.get('x-requested-with')).toBe('XMLHttpRequest');
});

test('three refusals at once cost one refresh, and each request is repeated once with the new token', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  const results = await value(all(tab, 3));
  expect(kinds(results)).toEqual(['ok', 'ok', 'ok']);
  expect(server.refreshes).toBe(1);
  expect(server.calls).toHaveLength(7);
  expect(server.calls.slice(-3).map(({ bearer }) => bearer)).toEqual(['token-2', 'token-2', 'token-2']);
  expect(tab.heard).toEqual(['session-refreshed']);
});

test('a refresh that brings no token fails all who wait for it, and the session stays', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  server.script('/auth/refresh', () => Response.json({ amazon_token_refreshed: false }));
  const results = await value(all(tab, 3));
  for (const result of results) {
    expect(result.status).toBe('rejected');
    expect((result as PromiseRejectedResult).reason).toBeInstanceOf(SessionUnavailable);
  }
  expect(server.refreshes).toBe(1);
  expect(tab.client.session.state).toBe('signed-in');
});

test('a server that keeps answering 401 gets each request twice and one refresh, not more', async () => {
  const { server, tab } = await signedIn();
  for (const n of [0, 1, 2]) server.script(`/things/${n}`, () => problem(401, 'session-expired'));
  server.expire();
  expect(kinds(await value(all(tab, 3)))).toEqual(['session-expired', 'session-expired', 'session-expired']);
  expect(server.refreshes).toBe(1);
  expect(server.calls).toHaveLength(7);
  // Whoever polls does not make it refresh at every turn either.
  const polled = await failure(tab.api.get('/things/0'));
  expect(polled).toBeInstanceOf(SessionUnavailable);
  expect(server.refreshes).toBe(1);
});

test.each([
  ['503', () => problem(503, 'unavailable')],
  ['429', () => problem(429, 'rate-limited')],
  ['500', () => problem(500, 'internal')],
  ['403', () => problem(403, 'csrf-header-missing')],
  ['404', () => new Response('<html>', { status: 404 })],
  ['a 401 of a proxy', () => new Response('<html>Sign in to the network</html>', { status: 401 })],
  ['no network', broken],
  ['a page instead of JSON', () => new Response('<html>')],
])('a refresh that ends in %s keeps the session, and the next waits its time', async (_, answer) => {
  const { server, tab } = await signedIn();
  server.expire();
  server.script('/auth/refresh', answer);
  const error = (await failure(tab.api.get('/things'))) as SessionUnavailable;
  expect(error).toBeInstanceOf(SessionUnavailable);
  expect(error.response, 'nobody may take it for a sign-out').toBeUndefined();
  expect(error.retryAt).toBeGreaterThan(Date.now());
  expect(tab.client.session.state).toBe('signed-in');
  expect(tab.heard).toEqual([]);
  await failure(tab.api.get('/things'));
  expect(server.refreshes, 'while it waits it does not ask again').toBe(1);
  server.script('/auth/refresh');
  await pass(error.retryAt - Date.now());
  await value(tab.api.get('/things'));
  expect(server.refreshes).toBe(2);
});

test('waits grow from failure to failure, and start anew after a success', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  server.script('/auth/refresh', () => problem(503, 'unavailable'));
  const waits: number[] = [];
  for (let n = 0; n < 8; n += 1) {
    const { retryAt } = (await failure(tab.api.get('/things'))) as SessionUnavailable;
    waits.push(Math.round((retryAt - Date.now()) / 1000));
    await pass(retryAt - Date.now());
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  server.script(
    '/auth/refresh',
    () => tokens('token-2'),
    () => problem(503, 'unavailable'),
  );
  await value(tab.api.get('/things'));
  server.expire();
  const { retryAt } = (await failure(tab.api.get('/things'))) as SessionUnavailable;
  expect(retryAt - Date.now()).toBeLessThanOrEqual(1_000);
});

test.each([
  ['seconds', () => '7', 7_000],
  ['a date', () => new Date(Date.now() + 7_000).toUTCString(), 7_000],
  ['too long', () => '999999', 15 * 60_000],
])('Retry-After in %s is kept to', async (_, header, wait) => {
  const { server, tab } = await signedIn();
  server.expire();
  server.script(
    '/auth/refresh',
    () => new Response('', { status: 503, headers: { 'Retry-After': header() } }),
  );
  const before = Date.now();
  const error = (await failure(tab.api.get('/things'))) as SessionUnavailable;
  expect(error.retryAt - before).toBeGreaterThan(wait - 1_000);
  expect(error.retryAt - before).toBeLessThan(wait + 1_000);
});

test('a refresh that is never answered is given up, and nobody hangs', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  server.script('/auth/refresh', () => new Promise<Response>(() => undefined));
  expect(await failure(tab.api.get('/things'))).toBeInstanceOf(SessionUnavailable);
  expect(tab.client.session.state).toBe('signed-in');
});

test('a refusal of an older token is repeated with the present one, without a refresh', async () => {
  const { server, tab } = await signedIn();
  server.script(
    '/slow',
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return problem(401, 'session-expired');
    },
    () => Response.json('ok'),
  );
  const slow = tab.api.get<string>('/slow');
  await pass(LATENCY_MS);
  server.expire();
  await value(tab.api.get('/quick'));
  expect(server.refreshes).toBe(1);
  expect((await value(slow)).data).toBe('ok');
  expect(server.refreshes).toBe(1);
  expect(server.calls.filter(({ path }) => path === '/slow').map(({ bearer }) => bearer)).toEqual([
    'token-1',
    'token-2',
  ]);
});

test.each([
  [403, 'forbidden'],
  [403, 'insufficient-scope'],
  [403, 'csrf-header-missing'],
  [401, 'wrong-password'],
  [409, 'provider-rejected'],
  [409, 'other-account'],
  [409, 'provider-reauth-required'],
] as const)('a %s %s never refreshes the session', async (status, kind) => {
  const { server, tab } = await signedIn();
  server.script('/things', () => problem(status, kind));
  const error = (await failure(tab.api.get('/things'))) as ApiProblem;
  expect(error).toBeInstanceOf(ApiProblem);
  expect(error.kind).toBe(kind);
  expect(error.response?.status).toBe(status);
  expect(server.refreshes).toBe(0);
  expect(server.count('/things')).toBe(1);
});

test('a 401 that Amazon sent and we passed on never refreshes the session', async () => {
  const { server, tab } = await signedIn();
  const body = { code: '401', details: 'Not authorized to access scope 1' };
  server.script('/amc/1/v2/profiles', () => Response.json(body, { status: 401 }));
  const error = (await failure(tab.api.get('/amc/1/v2/profiles'))) as AxiosError;
  expect(error).not.toBeInstanceOf(ApiProblem);
  expect(error.response?.data).toEqual(body);
  expect(server.refreshes).toBe(0);
});

test("the original's own routes are understood by their text", async () => {
  const { server, tab } = await signedIn();
  server.script(
    '/campaigns',
    () => Response.json({ detail: 'Token has expired' }, { status: 401 }),
    () => Response.json([]),
  );
  server.expire();
  expect((await value(tab.api.get('/campaigns'))).data).toEqual([]);
  expect(server.refreshes).toBe(1);
});

test('an ended grant is told as an event, with what mends it', async () => {
  const { server, tab } = await signedIn();
  server.script('/things', () =>
    problem(409, 'provider-reauth-required', { connection_id: 'c1', reason: 'grant_invalid' }),
  );
  await failure(tab.api.post('/things'));
  const told = { connectionId: 'c1', reason: 'grant_invalid', detail: 'It is provider-reauth-required.' };
  expect(tab.told).toEqual([{ name: 'reauth-required', what: told }]);
});

test('a session that has ended is told once, however many requests find out, and nothing goes round in circles', async () => {
  const { server, tab } = await signedIn();
  server.hasSession = false;
  expect(kinds(await value(all(tab, 3)))).toEqual(['session-ended', 'session-ended', 'session-ended']);
  expect(tab.told).toEqual([{ name: 'signed-out', what: { reason: 'session-ended' } }]);
  expect(server.refreshes).toBe(0);
  expect(kinds(await value(all(tab, 3)))).toEqual(['unauthenticated', 'unauthenticated', 'unauthenticated']);
  expect(server.refreshes, 'signed out is signed out').toBe(0);
  expect(tab.told).toHaveLength(1);
});

test('a refresh that is refused ends the session once and is not followed by another', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  server.script('/auth/refresh', () => problem(401, 'session-ended'));
  expect(kinds(await value(all(tab, 3)))).toEqual(['session-expired', 'session-expired', 'session-expired']);
  expect(server.refreshes).toBe(1);
  expect(tab.heard).toEqual(['signed-out']);
});

test('a POST is repeated after a 401, for nothing was done, with the same body', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  await value(tab.api.post('/things', { name: 'a', text: '"quoted"' }));
  const posts = server.calls.filter(({ path }) => path === '/things');
  expect(posts.map(({ body }) => body)).toEqual(Array(2).fill('{"name":"a","text":"\\"quoted\\""}'));
  expect(posts[1]?.headers.get('content-type')).toBe('application/json');
});

test('a form with a file is repeated whole', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  const form = new FormData();
  form.append('file', new Blob(['content']), 'a.txt');
  await value(tab.api.post('/things', form));
  for (const { body } of server.calls.filter(({ path }) => path === '/things'))
    expect(body).toContain('content');
});

test.each([
  ['no network', broken],
  ['502', () => new Response('', { status: 502 })],
  ['503', () => problem(503, 'unavailable')],
])('after %s a GET is tried again, and a POST is not', async (_, answer) => {
  const { server, tab } = await signedIn();
  server.script('/things', answer);
  await failure(tab.api.post('/things'));
  expect(server.count('/things')).toBe(1);
  await failure(tab.api.get('/things'));
  expect(server.count('/things')).toBe(4);
  expect(server.refreshes).toBe(0);
});

test.each([
  ['a provider that is away', () => problem(503, 'provider-unavailable')],
  ['a long wait', () => problem(503, 'unavailable', { retry_after: 60 })],
  ['a defect', () => problem(500, 'internal')],
])('%s is told at once instead of tried again', async (_, answer) => {
  const { server, tab } = await signedIn();
  server.script('/things', answer);
  await failure(tab.api.get('/things'));
  expect(server.count('/things')).toBe(1);
});

test("what the caller shows is not replaced, and its refusal is the caller's", async () => {
  const { server, tab } = await signedIn();
  const error = (await failure(
    tab.api.get('/things', { headers: { Authorization: 'Bearer mine' } }),
  )) as ApiProblem;
  expect(error.kind).toBe('session-expired');
  expect(server.calls.map(({ bearer }) => bearer)).toEqual(['mine']);
  expect(tab.client.session.state).toBe('signed-in');
});

test('no other address gets the token or our header', async () => {
  const { server, tab } = await signedIn();
  await outcome(tab.api.get('https://elsewhere.test/api/things'));
  await outcome(tab.api.get('https://evergrant.test/other'));
  expect(server.calls.map(({ bearer }) => bearer)).toEqual([undefined, undefined]);
  expect(server.calls.some(({ headers }) => headers.has('x-requested-with'))).toBe(false);
  expect(server.refreshes).toBe(0);
});

test.each([
  ['an answer', () => Response.json('ok')],
  ['a problem', () => problem(400, 'invalid-request')],
  ['a broken connection', broken],
])('%s does not carry the token, wherever one looks', async (_, answer) => {
  const { server, tab } = await signedIn();
  server.script('/things', answer);
  const told = await outcome(tab.api.get('/things'));
  expect(server.calls[0]?.bearer).toBe('token-1');
  expect(inspect(told, { depth: Infinity, showHidden: true })).not.toContain('token-1');
});

test('the end of an older session, told late, does not end the present one', async () => {
  const { server, tab } = await signedIn();
  const late = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return problem(401, 'session-ended');
  };
  server.script('/slow', late, () => Response.json('ok'));
  const slow = tab.api.get<string>('/slow');
  await pass(LATENCY_MS);
  server.expire();
  await value(tab.api.post('/auth/login', {}));
  expect((await value(slow)).data).toBe('ok');
  expect(tab.heard).toEqual(['signed-in']);
  expect(server.refreshes).toBe(0);
});

test('whoever asks for bytes gets problems and repeats like everybody', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  const { data } = await value(tab.api.get<ArrayBuffer>('/file', { responseType: 'arraybuffer' }));
  expect(data.byteLength).toBeGreaterThan(0);
  server.script('/file', () => problem(409, 'provider-reauth-required', { connection_id: 'c1' }));
  const error = (await failure(tab.api.get('/file', { responseType: 'blob' }))) as ApiProblem;
  expect(error.connectionId).toBe('c1');
});

test('a refusal that the caller lets pass as an answer is repeated all the same', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  const { status } = await value(tab.api.get('/things', { validateStatus: () => true }));
  expect(status).toBe(200);
  expect(server.refreshes).toBe(1);
});

test('a caller who goes away waits for no refresh, and the refresh goes on', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  const gone = new AbortController();
  const left = tab.api.get('/things', { signal: gone.signal });
  await pass(2 * LATENCY_MS - 10);
  expect(server.refreshes).toBe(1);
  gone.abort();
  expect(((await failure(left, 50)) as AxiosError).code).toBe('ERR_CANCELED');
  await value(tab.api.get('/others'));
  expect(server.refreshes).toBe(1);
  expect(server.count('/things')).toBe(1);
});

test('interceptors of the app run once for a request, however often it is sent', async () => {
  const { server, tab } = await signedIn();
  server.expire();
  const ran: string[] = [];
  tab.api.interceptors.request.use((config) => {
    ran.push('request');
    return config;
  });
  tab.api.interceptors.response.use((response) => {
    ran.push('response');
    return response;
  });
  await value(tab.api.get('/things'));
  expect(ran).toEqual(['request', 'response']);
});
