import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { cleanup, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { AxiosError } from 'axios';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import api, { ApiProblem } from '../../services/api';
import { problemIn } from '../../services/problems';
import type { Endpoint } from './shapes';
import { ChangeDialog, CreateDialog, EnableDialog, ReplayDialog, RotateDialog } from './WebhookDialogs';
import { changes, endpointWords, eventLabel, EVENT_TYPES, toldOf, tryLine } from './webhooks';
import { actionWords } from './words';

const ID = '0199e2a4-51c0-7a31-8f0e-2d9c5b7a1e64';
const SECRET = 'whsec_notASecretOfAnybody';
const ENDPOINT: Endpoint = {
  id: ID,
  url: 'https://receiver.example/hooks',
  description: 'The pager',
  events: ['connection.needs_reauth', 'app.fault'],
  state: 'enabled',
  disabled_reason: null,
  failing_since: null,
  former_secret_until: null,
  created_at: '2026-11-23T12:00:00Z',
};

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
  vi.restoreAllMocks();
});

function show(element: React.ReactElement) {
  const queries = new QueryClient();
  render(<QueryClientProvider client={queries}>{element}</QueryClientProvider>);
  return { queries, user: userEvent.setup() };
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });
const answer = (data: object) => ({ data }) as never;
const nothing = () => undefined;

function refusal(detail: string): ApiProblem {
  const type = 'https://evergrant.dev/problems/invalid-parameter';
  const found = problemIn({ type, title: 'A parameter is wrong', status: 422, detail });
  if (!found) throw new Error('the problem is not known');
  return new ApiProblem(found, new AxiosError('refused'));
}

describe('an endpoint in words', () => {
  it('says why it is disabled, and what to do', () => {
    const disabled = { state: 'disabled', failing_since: null } as const;
    expect(endpointWords({ ...disabled, disabled_reason: 'gone' })).toMatchObject({
      tone: 'bad',
      meaning: expect.stringContaining('410') as string,
    });
    expect(endpointWords({ ...disabled, disabled_reason: 'failing' }).meaning).toMatch(
      /replay what it missed/,
    );
    expect(endpointWords({ ...disabled, disabled_reason: 'by_operator' }).tone).toBe('neutral');
  });

  it('is a warning while it fails, and well otherwise', () => {
    expect(endpointWords(ENDPOINT).label).toBe('Enabled');
    expect(endpointWords({ ...ENDPOINT, failing_since: '2026-11-23T12:00:00Z' }).tone).toBe('warn');
  });

  it('tells of everything when nothing is chosen', () => {
    expect(toldOf([])).toBe('Everything');
    expect(toldOf(['app.fault', 'connection.failing'])).toBe('Provider app at fault, Connection failing');
    expect(eventLabel('connection.of_tomorrow')).toBe('Connection of tomorrow');
  });

  it('tells an answer, and that there was none', () => {
    const at = '2026-11-23T12:00:00Z';
    expect(tryLine({ at, status: 204, message: '', duration_ms: 34 })).toBe('204 after 34 ms');
    expect(tryLine({ at, status: 500, message: 'oops', duration_ms: 1_540 })).toBe('500 after 1.5 s: oops');
    expect(tryLine({ at, status: null, message: 'connection refused', duration_ms: 2 })).toBe(
      'No answer after 2 ms: connection refused',
    );
  });
});

it('has words for what operators do to webhooks, and for what a newer server says', () => {
  expect(actionWords('rotate_webhook_secret')).toBe('New webhook secret');
  expect(actionWords('of_tomorrow')).toBe('Of tomorrow');
});

it('sends only what differs, whatever the order of the events', () => {
  const { url, description } = ENDPOINT;
  expect(
    changes(ENDPOINT, { url, description, events: ['app.fault', 'connection.needs_reauth'] }),
  ).toBeUndefined();
  expect(changes(ENDPOINT, { url, description: '', events: ENDPOINT.events })).toEqual({ description: '' });
  expect(changes(ENDPOINT, { url, description, events: [] })).toEqual({ events: [] });
});

describe('making a webhook', () => {
  it('shows the secret once and keeps it nowhere', async () => {
    const post = vi.spyOn(api, 'post').mockResolvedValue(answer({ ...ENDPOINT, secret: SECRET }));
    const closed = vi.fn();
    const { queries, user } = show(<CreateDialog onClose={closed} />);
    expect(button('Make it')).toHaveProperty('disabled', true);
    await user.type(screen.getByLabelText(/^Address/), ' https://receiver.example/hooks ');
    await user.click(screen.getByLabelText(/^Provider app at fault/));
    await user.click(screen.getByLabelText(/^Reconnect needed/));
    await user.click(button('Make it'));
    expect(await screen.findByLabelText('Secret')).toHaveProperty('value', SECRET);
    expect(post).toHaveBeenCalledExactlyOnceWith('/ops/webhooks', {
      url: 'https://receiver.example/hooks',
      description: '',
      // In the order of the form, not in that of the clicks.
      events: ['connection.needs_reauth', 'app.fault'],
      reason: '',
    });
    await user.click(button('I have kept it'));
    expect(closed).toHaveBeenCalledOnce();
    cleanup();
    await waitFor(() => {
      expect(queries.getMutationCache().getAll()).toEqual([]);
    });
    expect(
      JSON.stringify(
        queries
          .getQueryCache()
          .getAll()
          .map(({ state }) => state),
      ),
    ).not.toContain(SECRET);
  });

  it('says in place why an address is refused, and lets it be corrected', async () => {
    const why = 'The URL is refused: 127.0.0.1 belongs to this machine, which webhooks must not reach.';
    const post = vi.spyOn(api, 'post').mockRejectedValueOnce(refusal(why));
    const { user } = show(<CreateDialog onClose={nothing} />);
    await user.type(screen.getByLabelText(/^Address/), 'https://127.0.0.1/');
    await user.click(button('Make it'));
    expect(await screen.findByText(why)).toBeDefined();
    expect(screen.getByLabelText(/^Address/)).toHaveProperty('value', 'https://127.0.0.1/');

    post.mockResolvedValueOnce(answer({ ...ENDPOINT, secret: SECRET }));
    await user.click(button('Make it'));
    expect(await screen.findByLabelText('Secret')).toBeDefined();
  });
});

describe('changing a webhook', () => {
  it('sends what was changed, with the reason', async () => {
    const patch = vi.spyOn(api, 'patch').mockResolvedValue(answer(ENDPOINT));
    const closed = vi.fn();
    const { user } = show(<ChangeDialog endpoint={ENDPOINT} onClose={closed} />);
    expect(button('Change it')).toHaveProperty('disabled', true);
    await user.click(screen.getByLabelText(/^Provider app at fault/));
    await user.type(screen.getByLabelText('Reason (optional)'), 'Too loud');
    await user.click(button('Change it'));
    await waitFor(() => {
      expect(closed).toHaveBeenCalled();
    });
    expect(patch).toHaveBeenCalledExactlyOnceWith(`/ops/webhooks/${ID}`, {
      events: ['connection.needs_reauth'],
      reason: 'Too loud',
    });
  });

  it('disables what is enabled and enables what is disabled', async () => {
    const patch = vi.spyOn(api, 'patch').mockResolvedValue(answer(ENDPOINT));
    const { user } = show(<EnableDialog endpoint={ENDPOINT} onClose={nothing} />);
    await user.click(button('Disable'));
    expect(patch).toHaveBeenLastCalledWith(`/ops/webhooks/${ID}`, { enabled: false, reason: '' });
    cleanup();
    const again = show(<EnableDialog endpoint={{ ...ENDPOINT, state: 'disabled' }} onClose={nothing} />);
    await again.user.click(button('Enable'));
    expect(patch).toHaveBeenLastCalledWith(`/ops/webhooks/${ID}`, { enabled: true, reason: '' });
  });

  it('shows a new secret once, and until when the former one is good', async () => {
    vi.spyOn(api, 'post').mockResolvedValue(answer({ ...ENDPOINT, secret: SECRET }));
    const { user } = show(<RotateDialog id={ID} onClose={nothing} />);
    await user.click(button('New secret'));
    expect(await screen.findByLabelText('Secret')).toHaveProperty('value', SECRET);
    expect(screen.getByText(/The former secret signs beside it for 24 hours/)).toBeDefined();
  });
});

describe('replaying', () => {
  it('sends one message again under its id', async () => {
    const post = vi.spyOn(api, 'post').mockResolvedValue(answer({ replayed: 1 }));
    const done = vi.fn();
    const { user } = show(<ReplayDialog endpoint={ENDPOINT} message="m1" onClose={nothing} onDone={done} />);
    await user.click(button('Replay'));
    await waitFor(() => {
      expect(done).toHaveBeenCalledExactlyOnceWith(1);
    });
    expect(post).toHaveBeenCalledExactlyOnceWith(`/ops/webhooks/${ID}/deliveries/m1/replay`, { reason: '' });
  });

  it('sends all that was missed since it began to fail', async () => {
    const post = vi.spyOn(api, 'post').mockResolvedValue(answer({ replayed: 12 }));
    const failing = { ...ENDPOINT, failing_since: '2026-11-20T08:30:00Z' };
    const { user } = show(<ReplayDialog endpoint={failing} onClose={nothing} onDone={nothing} />);
    await user.click(button('Replay'));
    expect(post).toHaveBeenCalledExactlyOnceWith(`/ops/webhooks/${ID}/replay`, {
      since: '2026-11-20T08:30:00.000Z',
      reason: '',
    });
  });

  it('says why nothing was sent', async () => {
    vi.spyOn(api, 'post').mockRejectedValue(refusal('The endpoint is disabled: enable it first.'));
    const done = vi.fn();
    const { user } = show(<ReplayDialog endpoint={ENDPOINT} message="m1" onClose={nothing} onDone={done} />);
    await user.click(button('Replay'));
    expect(await screen.findByText('The endpoint is disabled: enable it first.')).toBeDefined();
    expect(done).not.toHaveBeenCalled();
  });
});

it('offers every event that an endpoint can choose', () => {
  show(<CreateDialog onClose={nothing} />);
  expect(screen.getAllByRole('checkbox')).toHaveLength(EVENT_TYPES.length);
});
