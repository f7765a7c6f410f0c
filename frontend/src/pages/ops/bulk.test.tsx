import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { cleanup, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { AxiosError } from 'axios';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import api, { ApiProblem } from '../../services/api';
import { problemIn } from '../../services/problems';
import { added, BEGIN, dealWithAll, type Order, type Part, type Place, type Source } from './bulk';
import { wholeOf } from './BulkDialog';
import { ManyDialog } from './ManyDialog';
import { RefreshDialog } from './RefreshDialog';

beforeAll(() => {
  // jsdom has dialogs that cannot be opened.
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
  };
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function part(handled: number, differing: Partial<Part> = {}): Part {
  return {
    handled,
    reached: handled,
    outcomes: { published: handled },
    more: false,
    wait_ms: 0,
    ...differing,
  };
}

function problem(kind: string, retry_after?: number): ApiProblem {
  const found = problemIn({
    type: `https://evergrant.dev/problems/${kind}`,
    title: 'No',
    status: 503,
    detail: '12000 jobs wait for the workers already.',
    ...(retry_after === undefined ? {} : { retry_after }),
  });
  if (!found) throw new Error(`there is no problem ${kind}`);
  return new ApiProblem(found, new AxiosError('refused'));
}

/** Answers with these, one after the other, and keeps what was asked. */
function source(...answers: (Part | Error)[]): Source & { asked: Order[] } {
  const asked: Order[] = [];
  return {
    asked,
    ask: (order) => {
      asked.push(order);
      const answer = answers[asked.length - 1];
      if (answer === undefined) throw new Error(`nothing is left to answer request ${asked.length} with`);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
}

const never = new AbortController().signal;
const nothing = () => undefined;

it('adds each page to those before', () => {
  const before: Place = {
    handled: 200,
    reached: 150,
    outcomes: { published: 150, under_way: 50 },
    after: 'a',
  };
  const page = part(200, { reached: 199, outcomes: { published: 199, needs_reauth: 1 } });
  expect(added(before, page)).toEqual({
    handled: 400,
    reached: 349,
    outcomes: { published: 349, under_way: 50, needs_reauth: 1 },
    after: 'a',
  });
});

describe('dealing with all', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  it('goes from page to page to the end', async () => {
    const pages = source(part(200, { more: true, next: 'a' }), part(7));
    const ended = await dealWithAll(pages, { reason: 'why' }, BEGIN, never, nothing);
    expect(ended).toMatchObject({ end: 'all', handled: 207, reached: 207 });
    expect(pages.asked).toEqual([
      { reason: 'why', limit: 200 },
      { reason: 'why', limit: 200, after: 'a' },
    ]);
  });

  it('stops after as many as were wished for, at the pace that was wished for', async () => {
    const pages = source(
      part(200, { more: true, next: 'a', wait_ms: 4_000 }),
      part(50, { more: true, next: 'b' }),
    );
    const dealing = dealWithAll(pages, { reason: '', limit: 250, rate: 50 }, BEGIN, never, nothing);
    await vi.advanceTimersByTimeAsync(3_999);
    expect(pages.asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await dealing).toMatchObject({ end: 'all', handled: 250, after: 'b' });
    expect(pages.asked[1]).toEqual({ reason: '', limit: 50, rate: 50, after: 'a' });
  });

  it('waits while the workers have enough to do, and says so', async () => {
    const pages = source(
      part(100, { more: true, next: 'a', stopped_by: 'The queue is full.' }),
      problem('unavailable', 5),
      part(100),
    );
    const waitedFor: (string | undefined)[] = [];
    const dealing = dealWithAll(pages, { reason: '' }, BEGIN, never, ({ waitsFor }) => {
      if (waitsFor !== undefined) waitedFor.push(waitsFor);
    });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await dealing).toMatchObject({ end: 'all', handled: 200 });
    expect(pages.asked.map(({ after }) => after)).toEqual([undefined, 'a', 'a']);
    expect(waitedFor).toEqual(['The queue is full.', '12000 jobs wait for the workers already.']);
  });

  it('gives up when nothing goes on for long, and can be gone on with', async () => {
    const full = Array.from({ length: 25 }, () => problem('unavailable', 5));
    const dealing = dealWithAll(
      source(part(200, { more: true, next: 'a' }), ...full),
      { reason: '' },
      BEGIN,
      never,
      nothing,
    );
    await vi.advanceTimersByTimeAsync(125_000);
    const ended = await dealing;
    expect(ended).toMatchObject({ end: 'trouble', handled: 200, after: 'a' });

    const rest = source(part(3));
    expect(await dealWithAll(rest, { reason: '' }, ended, never, nothing)).toMatchObject({ handled: 203 });
    expect(rest.asked[0]?.after).toBe('a');
  });

  it('does not repeat what is refused for good', async () => {
    const pages = source(problem('forbidden'));
    expect(await dealWithAll(pages, { reason: '' }, BEGIN, never, nothing)).toMatchObject({ end: 'trouble' });
    expect(pages.asked).toHaveLength(1);
  });

  it('is stopped at once, also while it waits', async () => {
    const stop = new AbortController();
    const pages = source(part(200, { more: true, next: 'a', wait_ms: 60_000 }));
    const dealing = dealWithAll(pages, { reason: '', rate: 1 }, BEGIN, stop.signal, nothing);
    await vi.advanceTimersByTimeAsync(10);
    stop.abort();
    expect(await dealing).toMatchObject({ end: 'stopped', handled: 200, after: 'a' });
  });

  it('sends what was chosen by hand once', async () => {
    const pages = { ...source(part(3, { stopped_by: 'The database is away.' })), isWhole: true };
    expect(await dealWithAll(pages, { reason: '' }, BEGIN, never, nothing)).toMatchObject({ end: 'trouble' });
  });
});

it('takes whole numbers above zero only', () => {
  expect([wholeOf(''), wholeOf(' 12 ')]).toEqual([undefined, 12]);
  for (const wrong of ['0', '-1', '1.5', 'many', '1e3', '9999999999']) expect(wholeOf(wrong)).toBeNaN();
});

function show(element: React.ReactElement) {
  render(<QueryClientProvider client={new QueryClient()}>{element}</QueryClientProvider>);
  return userEvent.setup();
}

const answer = (data: object) => ({ data }) as never;
const button = (name: string | RegExp) => screen.getByRole('button', { name });

describe('the dialog of refreshes', () => {
  const page = { dry_run: false, left_alone: [], stopped_by: null, wait_ms: 0 };
  const first = {
    ...page,
    handled: 1_000,
    asked: 990,
    outcomes: { published: 990, needs_reauth: 10 },
    more: true,
    next: 'a',
  };
  const last = {
    ...page,
    handled: 5,
    asked: 4,
    outcomes: { published: 4, paused: 1 },
    more: false,
    next: null,
  };

  it('counts all that match in a dry run, asks with a limit, and shows what came of it', async () => {
    const post = vi.spyOn(api, 'post');
    post.mockResolvedValueOnce(answer({ ...first, dry_run: true }));
    post.mockResolvedValueOnce(answer({ ...last, dry_run: true }));
    const filter = { states: ['failing'] };
    const user = show(<RefreshDialog filter={filter} onClose={nothing} />);
    await screen.findByText('1,005 connections match.');
    expect(screen.getByText(/994 would be refreshed and 11 left alone/)).toBeDefined();
    expect(post.mock.calls.map(([, body]) => body)).toEqual([
      { filter, dry_run: true, limit: 1_000 },
      { filter, dry_run: true, limit: 1_000, after: 'a' },
    ]);

    await user.type(screen.getByLabelText('At most'), 'all');
    expect(button('Refresh 1,005 connections')).toHaveProperty('disabled', true);
    await user.clear(screen.getByLabelText('At most'));
    await user.type(screen.getByLabelText('At most'), '5');
    await user.type(screen.getByLabelText('Reason (optional)'), 'The outage is over');
    post.mockReset().mockResolvedValueOnce(answer({ ...last, more: true, next: 'b' }));
    await user.click(button('Refresh 5 connections'));
    await screen.findByText('Refreshes asked for: 4 of 5.');
    expect(post).toHaveBeenCalledExactlyOnceWith('/ops/connections/refresh', {
      filter,
      reason: 'The outage is over',
      limit: 5,
    });
    const paused = screen.getByText('Paused').closest('li');
    expect(within(paused as HTMLElement).getByText('1')).toBeDefined();
  });

  it('can be stopped and gone on with', async () => {
    const post = vi.spyOn(api, 'post');
    post.mockResolvedValueOnce(answer({ ...last, handled: 1_000, asked: 1_000 }));
    const user = show(<RefreshDialog filter={{}} onClose={nothing} />);
    const begin = await screen.findByRole('button', { name: 'Refresh 1,000 connections' });
    post.mockResolvedValueOnce(answer({ ...first, handled: 200, asked: 200, wait_ms: 60_000 }));
    await user.click(begin);
    await screen.findByText(/200 of 1,000 connections looked at, 200 asked for/);
    await user.click(button('Stop'));
    await screen.findByText(/You stopped it/);
    post.mockResolvedValueOnce(answer({ ...last, handled: 800, asked: 800 }));
    await user.click(button('Go on'));
    await screen.findByText('Refreshes asked for: 1,000 of 1,000.');
    expect(post).toHaveBeenLastCalledWith('/ops/connections/refresh', {
      filter: {},
      reason: '',
      limit: 200,
      after: 'a',
    });
    expect(screen.queryByRole('button', { name: 'Go on' })).toBeNull();
  });

  it('says that nothing was done when it cannot look', async () => {
    vi.spyOn(api, 'post').mockRejectedValueOnce(problem('internal'));
    show(<RefreshDialog filter={{}} onClose={nothing} />);
    await waitFor(() => {
      expect(screen.getByText(/Nothing was done/)).toBeDefined();
    });
    expect(button('Try again')).toBeDefined();
  });
});

it('deals with failed jobs by the count of the API', async () => {
  const post = vi.spyOn(api, 'post').mockResolvedValueOnce(
    answer({
      dry_run: true,
      handled: 1_000,
      closed: 900,
      outcomes: { published: 900, app_held: 100 },
      left_open: [],
      more: true,
      next: 'a',
      wait_ms: 0,
      total: 100_000,
      total_is_at_least: false,
    }),
  );
  show(
    <ManyDialog deed="replay" which={{ filter: { states: ['open'] } }} onClose={nothing} onDone={nothing} />,
  );
  await screen.findByText('100,000 jobs match.');
  expect(
    screen.getByText(/Of the first 1,000, 900 would be closed by a replay and 100 would stay open/),
  ).toBeDefined();
  expect(post).toHaveBeenCalledOnce();
});
