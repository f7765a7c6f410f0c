import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { cleanup, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { toasts } from '../../components/toasts';
import api from '../../services/api';
import { targetOf, targetWords } from './controls';
import { DrainButton } from './DrainButton';
import { PauseButton } from './PauseButton';
import { pausedWords } from './PausedBand';
import type { Order, Process } from './shapes';

const ORDER: Order = { by: 'user ops@example.com', why: 'The secret is changed', at: '2026-11-23T12:00:00Z' };
const ID = '0199e2a4-51c0-7a31-8f0e-2d9c5b7a1e64';

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
  const told = vi.spyOn(toasts, 'show').mockReturnValue(undefined);
  render(<QueryClientProvider client={new QueryClient()}>{element}</QueryClientProvider>);
  return { told, user: userEvent.setup() };
}

const button = (name: string | RegExp) => screen.getByRole('button', { name });
const answer = (data: object) => ({ data }) as never;

describe('pausing', () => {
  const target = { kind: 'app', name: 'amazon-na' } as const;

  it('asks for a reason first, and sends it', async () => {
    const post = vi.spyOn(api, 'post').mockResolvedValue(answer({ ...target, ...ORDER, was_paused: false }));
    const { told, user } = show(<PauseButton target={target} paused={null} />);
    await user.click(button('Pause Amazon Ads, North America'));
    expect(button('Pause')).toHaveProperty('disabled', true);
    await user.type(screen.getByLabelText('Reason'), '  The secret is changed ');
    await user.click(button('Pause'));
    await waitFor(() => {
      expect(told).toHaveBeenCalledWith('good', 'Amazon Ads, North America is paused.');
    });
    expect(post).toHaveBeenCalledExactlyOnceWith('/ops/pauses', { ...target, why: 'The secret is changed' });
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it('does nothing when the question is closed', async () => {
    const post = vi.spyOn(api, 'post');
    const { user } = show(<PauseButton target={target} paused={null} />);
    await user.click(button(/^Pause Amazon/));
    await user.click(button('Cancel'));
    expect(screen.queryByRole('dialog')).toBeNull();
    expect(post).not.toHaveBeenCalled();
  });

  it('says who was faster', async () => {
    vi.spyOn(api, 'post').mockResolvedValue(answer({ ...target, ...ORDER, was_paused: true }));
    const { told, user } = show(<PauseButton target={target} paused={undefined} />);
    await user.click(button(/^Pause Amazon/));
    await user.type(screen.getByLabelText('Reason'), 'x');
    await user.click(button('Pause'));
    await waitFor(() => {
      expect(told).toHaveBeenCalledWith('info', expect.stringContaining('by user ops@example.com'));
    });
  });

  it('shows by whom and why before it is resumed, and needs no reason for that', async () => {
    const del = vi.spyOn(api, 'delete').mockResolvedValue(answer({ was_paused: true, pause: null }));
    const { told, user } = show(
      <PauseButton target={{ kind: 'connection', name: ID, called: 'ada' }} paused={ORDER} />,
    );
    await user.click(button('Resume ada'));
    expect(screen.getByText(/Paused by user ops@example.com/).textContent).toContain('The secret is changed');
    await user.click(button('Resume'));
    await waitFor(() => {
      expect(told).toHaveBeenCalledWith('good', 'ada is resumed.');
    });
    expect(del).toHaveBeenCalledExactlyOnceWith(`/ops/pauses/connection/${ID}`, { params: {} });
  });
});

describe('draining', () => {
  const worker: Process = {
    process: ID,
    role: 'worker',
    leads: false,
    is_this: false,
    runs_workers: true,
    primary_key: 'a',
    keys: ['a'],
    seen_at: '2026-11-23T12:00:00Z',
    drain: null,
  };

  it('asks for a reason, and warns of a process that runs everything', async () => {
    const post = vi
      .spyOn(api, 'post')
      .mockResolvedValue(answer({ process: ID, drain: ORDER, was_drained: false }));
    const { user } = show(<DrainButton process={{ ...worker, role: 'serve' }} />);
    await user.click(button('Drain …1e64'));
    expect(screen.getByText(/nothing is refreshed until/)).toBeDefined();
    await user.type(screen.getByLabelText('Reason'), 'A new host');
    await user.click(button('Drain'));
    await waitFor(() => {
      expect(post).toHaveBeenCalledExactlyOnceWith(`/ops/processes/${ID}/drain`, { why: 'A new host' });
    });
  });

  it('takes back in what is drained', async () => {
    const del = vi.spyOn(api, 'delete').mockResolvedValue(answer({ process: ID, was_drained: true }));
    const { user } = show(<DrainButton process={{ ...worker, drain: { ...ORDER, done_at: null } }} />);
    expect(screen.queryByRole('button', { name: /^Drain/ })).toBeNull();
    await user.click(button('Take back in …1e64'));
    await waitFor(() => {
      expect(del).toHaveBeenCalledExactlyOnceWith(`/ops/processes/${ID}/drain`);
    });
  });
});

describe('what is paused', () => {
  const item = (kind: string, name: string) => ({ kind, name, ...ORDER });

  it('is not mentioned while nothing is', () => {
    expect(pausedWords({ items: [], connections_total: 0 })).toBeUndefined();
  });

  it('is named in one line, the first three and how many more', () => {
    expect(pausedWords({ items: [item('app', 'amazon-eu')], connections_total: 0 })).toBe(
      'Paused: Amazon Ads, Europe',
    );
    const items = [
      item('queue', 'force_refresh'),
      ...['amazon-na', 'amazon-eu', 'amazon-fe'].map((name) => item('app', name)),
    ];
    expect(pausedWords({ items, connections_total: 1200 })).toBe(
      'Paused: the queue “Refresh on demand”, Amazon Ads, North America, Amazon Ads, Europe, 1 more and 1,200 connections',
    );
  });

  it('is left alone where this page does not know its kind', () => {
    expect(targetOf(item('planet', 'x'))).toBeUndefined();
    expect(pausedWords({ items: [item('planet', 'x')], connections_total: 0 })).toBeUndefined();
    expect(targetWords({ kind: 'connection', name: ID })).toBe(`the connection ${ID}`);
  });
});
