/** Whatever comes of a request, of the refresh and of the repeat: each caller is answered, and nothing is asked too often. */

import { expect, test } from 'vitest';

import { FakeBrowser } from './testing/browser.js';
import { broken, FakeServer, problem, tokens } from './testing/server.js';
import { ownTime, pass, value } from './testing/time.js';

ownTime();

type Answers = Record<string, () => Response | Promise<Response>>;

const never = () => new Promise<Response>(() => undefined);

const refusals: Answers = {
  'session-expired': () => problem(401, 'session-expired'),
  unauthenticated: () => problem(401, 'unauthenticated'),
  'session-ended': () => problem(401, 'session-ended'),
  'a bare 401': () => new Response('', { status: 401 }),
  'provider-reauth-required': () => problem(409, 'provider-reauth-required'),
  forbidden: () => problem(403, 'forbidden'),
  'no network': broken,
};

const refreshes: Answers = {
  'a new token': () => tokens('token-2'),
  'the same token': () => tokens('token-1'),
  'an empty token': () => tokens(''),
  'no token': () => Response.json({}),
  null: () => Response.json(null),
  'broken JSON': () => new Response('{"access_token":'),
  'session-ended': () => problem(401, 'session-ended'),
  'session-expired': () => problem(401, 'session-expired'),
  "the original's 401": () => Response.json({ detail: 'Invalid token' }, { status: 401 }),
  'rate-limited': () => problem(429, 'rate-limited', { retry_after: 2 }),
  unavailable: () => problem(503, 'unavailable'),
  '500': () => new Response('', { status: 500 }),
  'no network': broken,
  'no answer': never,
};

const repeats: Answers = {
  ok: () => Response.json('ok'),
  'session-expired': () => problem(401, 'session-expired'),
  'session-ended': () => problem(401, 'session-ended'),
  '500': () => problem(500, 'internal'),
  'no network': broken,
};

/** The answer of this name. */
function named(answers: Answers, name: string): () => Response | Promise<Response> {
  const answer = answers[name];
  if (!answer) throw new Error(`There is no answer ${name}`);
  return answer;
}

const cases = Object.keys(refusals).flatMap((refusal) =>
  Object.keys(refreshes).flatMap((refresh) =>
    Object.keys(repeats).map((repeat) => ({ refusal, refresh, repeat })),
  ),
);

test.each(cases)('$refusal, then $refresh, then $repeat', async ({ refusal, refresh, repeat }) => {
  const server = new FakeServer();
  const tabs = new FakeBrowser(server).openTabs(2);
  for (const tab of tabs) await value(tab.client.session.restore());
  await pass(200);
  server.calls.length = 0;
  for (const tab of tabs) tab.told.length = 0;
  // The first answer to each of the paths is the refusal; what comes after it is the repeat's.
  const paths = tabs.flatMap((tab, n) =>
    ['get', 'post'].map((method) => ({ tab, method, path: `/${n}/${method}` })),
  );
  for (const { path } of paths) server.script(path, named(refusals, refusal), named(repeats, repeat));
  server.script('/auth/refresh', named(refreshes, refresh));
  const asked = paths.map(({ tab, method, path }) => tab.api.request({ method, url: path }));
  const results = await value(Promise.allSettled(asked), 120_000);
  await pass(200);

  expect(results).toHaveLength(4);
  expect(server.refreshes).toBeLessThanOrEqual(1);
  for (const { path, method } of paths) {
    // Twice for the session; a GET may go out up to twice more each time when nothing came back.
    expect(server.count(path)).toBeLessThanOrEqual(method === 'post' ? 2 : 6);
  }
  for (const tab of tabs) {
    expect(tab.heard.filter((name) => name === 'signed-out').length).toBeLessThanOrEqual(1);
    expect(tab.client.session.state).toBe(tabs.at(-1)?.client.session.state);
  }
});
