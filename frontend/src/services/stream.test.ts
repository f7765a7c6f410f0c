import { expect, test } from 'vitest';

import type { LiveEvent } from './stream.js';
import { FakeBrowser, type Tab } from './testing/browser.js';
import { broken, FakeServer, LATENCY_MS, problem } from './testing/server.js';
import { ownTime, pass, value } from './testing/time.js';

ownTime();

/** A stream that a test writes into. */
class Stream {
  #writer: ReadableStreamDefaultController<Uint8Array> | undefined;
  isCancelled = false;
  readonly response = new Response(
    new ReadableStream<Uint8Array>({
      start: (writer) => {
        this.#writer = writer;
      },
      cancel: () => {
        this.isCancelled = true;
      },
    }),
    { headers: { 'Content-Type': 'text/event-stream' } },
  );

  async write(text: string): Promise<void> {
    this.#writer?.enqueue(new TextEncoder().encode(text));
    await pass(80);
  }

  event(id: number, name: string, data: unknown = {}): Promise<void> {
    return this.write(`id: p-${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  async end(): Promise<void> {
    this.#writer?.close();
    await pass(10);
  }
}

async function listening(count = 1) {
  const server = new FakeServer();
  const streams: Stream[] = [];
  server.script('/events', ({ headers }) => {
    if (headers.get('authorization') !== `Bearer token-${server.present}`)
      return problem(401, 'session-expired');
    const stream = new Stream();
    streams.push(stream);
    return stream.response;
  });
  const browser = new FakeBrowser(server);
  const tabs = browser.openTabs(count);
  for (const tab of tabs) await value(tab.client.session.restore());
  const heard = tabs.map(() => [] as LiveEvent[]);
  const offs = tabs.map((tab, n) => tab.client.live.subscribe((event) => heard[n]?.push(event)));
  await pass(500);
  const [tab] = tabs as [Tab, ...Tab[]];
  const stream = () => {
    const last = streams.at(-1);
    if (!last) throw new Error('No stream was opened.');
    return last;
  };
  const opened = () => server.calls.filter(({ path }) => path === '/events');
  const lastId = () => opened().at(-1)?.headers.get('last-event-id');
  return { server, browser, streams, stream, tabs, tab, heard, offs, opened, lastId };
}

test('events arrive with the bearer of the session, and what is unknown is passed over', async () => {
  const { tab, heard, stream, opened } = await listening();
  expect(tab.client.live.state.is).toBe('live');
  expect(opened()[0]?.bearer).toBe('token-1');
  await stream().event(1, 'connection', { connection_id: 'c1' });
  await stream().event(2, 'of-tomorrow');
  await stream().event(3, 'gap');
  await stream().event(4, 'app', { provider: 'amazon-na' });
  expect(heard[0]).toEqual([
    { type: 'connection', data: { connection_id: 'c1' } },
    { type: 'gap' },
    { type: 'app', data: { provider: 'amazon-na' } },
  ]);
});

test('a broken stream is taken up behind the last id, also that of a heartbeat', async () => {
  const { tab, stream, streams, lastId } = await listening();
  await stream().event(1, 'gap');
  await stream().write(': heartbeat\nid: p-5\n\n');
  await stream().end();
  expect(tab.client.live.state.is).toBe('waiting');
  await pass(3_000);
  expect(streams).toHaveLength(2);
  expect(lastId()).toBe('p-5');
  expect(tab.client.live.state.is).toBe('live');
});

test('a stream that falls silent is dead', async () => {
  const { stream, streams } = await listening();
  await pass(30_000);
  await stream().write(': heartbeat\n\n');
  await pass(30_000);
  expect(streams).toHaveLength(1);
  await pass(20_000);
  expect(streams).toHaveLength(2);
  expect(streams[0]?.isCancelled).toBe(true);
});

test('a token that expires on the way is refreshed once, and the stream comes back at once', async () => {
  const { server, stream, streams, lastId } = await listening();
  await stream().event(8, 'gap');
  server.expire();
  await stream().event(9, 'end', { problem: 'session-expired', detail: '' });
  await stream().end();
  await pass(300);
  expect(server.refreshes).toBe(2);
  expect(streams).toHaveLength(2);
  expect(lastId()).toBe('p-9');
});

test('a session that has ended ends the stream, and signing in again opens it', async () => {
  const { server, tab, stream, streams, heard } = await listening();
  await stream().event(1, 'end', { problem: 'session-ended', detail: '' });
  await pass(120_000);
  expect(tab.heard).toEqual(['signed-in', 'signed-out']);
  expect(tab.client.live.state.is).toBe('off');
  expect(streams).toHaveLength(1);
  server.hasSession = true;
  await value(tab.client.session.restore());
  await pass(200);
  expect(streams).toHaveLength(2);
  await stream().event(2, 'gap');
  expect(heard[0]).toEqual([{ type: 'gap' }]);
});

test('failures wait longer and longer, Retry-After is kept to, and coming back to the page tries at once', async () => {
  const { server, tab, stream, opened } = await listening();
  server.script('/events', broken);
  await stream().end();
  await pass(100_000);
  const tried = opened().length - 1;
  expect(tried).toBeGreaterThan(4);
  expect(tried).toBeLessThan(9);
  tab.wake();
  await pass(LATENCY_MS + 10);
  expect(opened()).toHaveLength(tried + 2);
  server.script('/events', () => problem(503, 'overloaded', { retry_after: 60 }));
  tab.wake();
  await pass(LATENCY_MS + 10);
  tab.wake();
  await pass(55_000);
  expect(opened(), 'the server wants peace').toHaveLength(tried + 3);
  await pass(10_000);
  expect(opened()).toHaveLength(tried + 4);
});

test('a token that is refused as soon as it comes does not make it turn in circles', async () => {
  const { server, stream, opened } = await listening();
  server.script('/events', () => problem(401, 'session-expired'));
  await stream().end();
  await pass(60_000);
  expect(opened().length).toBeLessThan(12);
  expect(server.refreshes).toBeLessThan(12);
});

test('whoever may not listen is not heard of again', async () => {
  const { server, tab, stream, opened } = await listening();
  server.script('/events', () => problem(403, 'forbidden'));
  await stream().end();
  await pass(120_000);
  expect(opened()).toHaveLength(2);
  expect(tab.client.live.state.is).toBe('off');
});

test('five tabs share one stream, and when its tab dies another resumes it without a gap', async () => {
  const { server, streams, stream, tabs, heard, tab, lastId } = await listening(5);
  expect(streams).toHaveLength(1);
  for (const each of tabs) expect(each.client.live.state.is).toBe('live');
  await stream().event(1, 'connection', { connection_id: 'c1' });
  for (const events of heard) expect(events).toHaveLength(1);
  tab.die();
  await pass(200);
  expect(server.count('/events')).toBe(2);
  expect(lastId()).toBe('p-1');
  await stream().event(2, 'gap');
  for (const events of heard.slice(1)) expect(events.at(-1)).toEqual({ type: 'gap' });
});

test('a tab that comes later hears how the stream stands', async () => {
  const { browser, streams, stream } = await listening();
  const late = browser.openTab();
  await value(late.client.session.restore());
  const heard: LiveEvent[] = [];
  const states: string[] = [];
  late.client.live.onState((state) => states.push(state.is));
  late.client.live.subscribe((event) => heard.push(event));
  await pass(500);
  expect(states.at(-1)).toBe('live');
  await stream().event(3, 'gap');
  expect(heard).toEqual([{ type: 'gap' }]);
  expect(streams.filter(({ isCancelled }) => !isCancelled)).toHaveLength(1);
});

test('the last listener that leaves closes the stream, and the next tab takes over', async () => {
  const { streams, offs, tabs } = await listening(2);
  offs[0]?.();
  await pass(200);
  expect(streams.map(({ isCancelled }) => isCancelled)).toEqual([true, false]);
  expect(tabs.map(({ client }) => client.live.state.is)).toEqual(['off', 'live']);
  offs[1]?.();
  await pass(200);
  expect(streams.map(({ isCancelled }) => isCancelled)).toEqual([true, true]);
});

test('a page that is left and come back to, opens one stream and not two', async () => {
  const { tab, offs, streams } = await listening();
  offs[0]?.();
  const off = tab.client.live.subscribe(() => undefined);
  await pass(500);
  expect(streams.filter(({ isCancelled }) => !isCancelled)).toHaveLength(1);
  expect(tab.client.live.state.is).toBe('live');
  off();
});

test('where there are no locks each tab has its own stream, and hears everything once', async () => {
  const { server, streams } = await listening(0);
  const browser = new FakeBrowser(server);
  const refused = () => Promise.reject(new DOMException('Not here.', 'SecurityError'));
  const heard: LiveEvent[] = [];
  for (const tab of [1, 2].map(() => browser.openTab({ locks: { request: refused } }))) {
    await value(tab.client.session.restore());
    tab.client.live.subscribe((event) => heard.push(event));
    await pass(500);
  }
  expect(streams).toHaveLength(2);
  for (const stream of streams) await stream.event(1, 'gap');
  await pass(200);
  expect(heard).toHaveLength(2);
});
