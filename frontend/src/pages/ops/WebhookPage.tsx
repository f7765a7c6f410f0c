import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';

import { Badge } from '../../components/Badge';
import { Banner } from '../../components/Banner';
import { Button } from '../../components/Button';
import { Card } from '../../components/Card';
import { CopyId } from '../../components/CopyId';
import { Icon } from '../../components/Icon';
import { PageHead } from '../../components/PageHead';
import { ErrorState, Skeleton } from '../../components/States';
import { Countdown, RelativeTime } from '../../components/Time';
import { toasts } from '../../components/toasts';
import { problemLine } from '../../lib/problemWords';
import { AuditTable } from './AuditTable';
import { Deliveries } from './Deliveries';
import type { Endpoint } from './shapes';
import { AskDialog, ChangeDialog, EnableDialog, ReplayDialog, RotateDialog } from './WebhookDialogs';
import {
  auditQuery,
  endpointQuery,
  endpointWords,
  toldOf,
  tryLine,
  useDeleteEndpoint,
  useTestEndpoint,
} from './webhooks';
import { many } from './words';

const route = getRouteApi('/signed-in/ops/webhooks/$id');

/** One receiver: how it stands, what it was told, and what can be done. */
export function WebhookPage() {
  const { id } = route.useParams();
  const { data, error, refetch, isFetching } = useQuery(endpointQuery(id));
  return (
    <>
      <Link to="/ops/webhooks" className="back">
        <Icon name="chevronLeft" size={16} />
        Webhooks
      </Link>
      {data ? (
        <Standing endpoint={data} />
      ) : (
        <>
          <PageHead title="Webhook" />
          <Card>
            {error ? (
              <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
            ) : (
              <Skeleton lines={8} label="Loading the webhook" />
            )}
          </Card>
        </>
      )}
    </>
  );
}

type Ask = 'change' | 'enable' | 'rotate' | 'delete' | 'replay';

function Standing({ endpoint }: { endpoint: Endpoint }) {
  const { id, url, description, events, failing_since, former_secret_until, created_at } = endpoint;
  const { label, tone, meaning } = endpointWords(endpoint);
  const test = useTestEndpoint(id);
  const [asking, ask] = useState<Ask>();
  const [message, choose] = useState<string>();
  const close = () => {
    ask(undefined);
    choose(undefined);
  };
  return (
    <>
      <PageHead
        title={hostOf(url)}
        beside={<Badge tone={tone}>{label}</Badge>}
        description={description === '' ? undefined : description}
        actions={
          <>
            <Button
              icon="send"
              variant="primary"
              isPending={test.isPending}
              onPress={() => {
                test.mutate();
              }}
            >
              Send a test
            </Button>
            <Button
              onPress={() => {
                ask('change');
              }}
            >
              Change
            </Button>
            <Button
              icon={endpoint.state === 'enabled' ? 'pause' : 'play'}
              onPress={() => {
                ask('enable');
              }}
            >
              {endpoint.state === 'enabled' ? 'Disable' : 'Enable'}
            </Button>
            <Button
              icon="key"
              onPress={() => {
                ask('rotate');
              }}
            >
              New secret
            </Button>
            <Button
              icon="trash"
              onPress={() => {
                ask('delete');
              }}
            >
              Delete
            </Button>
          </>
        }
      />
      <div className="stack">
        <TestResult test={test} />
        <Card title="How it stands">
          <div className="stack">
            <p className="prose">{meaning}</p>
            <dl className="facts">
              <Fact name="Address" isWide>
                <code className="breaks">{url}</code>
              </Fact>
              <Fact name="Told of" isWide>
                {toldOf(events)}
              </Fact>
              <Fact name="Failing since">
                <RelativeTime at={failing_since} none="Not failing" withLocal />
              </Fact>
              {former_secret_until && (
                <Fact name="The former secret signs too">
                  <Countdown at={former_secret_until} past="No more" />
                </Fact>
              )}
              <Fact name="Made">
                <RelativeTime at={created_at} withLocal />
              </Fact>
              <Fact name="Webhook id">
                <CopyId id={id} name="webhook id" />
              </Fact>
            </dl>
          </div>
        </Card>
        <Deliveries
          endpoint={endpoint}
          onReplay={(chosen) => {
            choose(chosen);
            ask('replay');
          }}
        />
        <WhatWasDone id={id} />
      </div>
      {asking === 'change' && <ChangeDialog endpoint={endpoint} onClose={close} />}
      {asking === 'enable' && <EnableDialog endpoint={endpoint} onClose={close} />}
      {asking === 'rotate' && <RotateDialog id={id} onClose={close} />}
      {asking === 'delete' && <DeleteDialog endpoint={endpoint} onClose={close} />}
      {asking === 'replay' && (
        <ReplayDialog
          endpoint={endpoint}
          message={message}
          onClose={close}
          onDone={(count) => {
            if (count === 0) toasts.show('info', 'It has missed nothing since then.');
            else toasts.show('good', `${many(count, 'message')} on the way again.`);
          }}
        />
      )}
    </>
  );
}

/** The host and the path: the whole address is below. */
export function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

function TestResult({ test }: { test: ReturnType<typeof useTestEndpoint> }) {
  const { data, error } = test;
  if (error) {
    return (
      <Banner tone="bad" title="No test was sent">
        {problemLine(error)}
      </Banner>
    );
  }
  if (!data) return null;
  return data.is_delivered ? (
    <Banner tone="good" icon="check" title="The receiver took the test">
      {tryLine(data)}
    </Banner>
  ) : (
    <Banner tone="bad" title="The receiver did not take the test">
      {tryLine(data)}
    </Banner>
  );
}

function DeleteDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const navigate = route.useNavigate();
  const remove = useDeleteEndpoint(endpoint.id, async () => {
    await navigate({ to: '/ops/webhooks' });
    toasts.show('good', 'The webhook is deleted.');
  });
  return (
    <AskDialog
      isDangerous
      title={`Delete ${hostOf(endpoint.url)}?`}
      confirm="Delete"
      isPending={remove.isPending}
      error={remove.error}
      onConfirm={() => {
        remove.mutate();
      }}
      onClose={onClose}
    >
      <p>It is told nothing any more, and what is known of its deliveries is deleted with it.</p>
      <p>To stop it for a while, disable it instead.</p>
    </AskDialog>
  );
}

function WhatWasDone({ id }: { id: string }) {
  const { data, error, refetch, isFetching } = useQuery(auditQuery(id));
  return (
    <Card flush title="What operators did">
      {data ? (
        data.length === 0 ? (
          <p className="card-body muted">No operator has acted on this webhook.</p>
        ) : (
          <AuditTable entries={data} caption="What operators did to this webhook" />
        )
      ) : error ? (
        <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
      ) : (
        <div className="card-body">
          <Skeleton lines={2} label="Loading what operators did" />
        </div>
      )}
    </Card>
  );
}

function Fact({ name, isWide = false, children }: { name: string; isWide?: boolean; children: ReactNode }) {
  return (
    <div className={isWide ? 'facts-wide' : undefined}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
