import { useQuery } from '@tanstack/react-query';

import { Badge } from '../../components/Badge';
import { Banner } from '../../components/Banner';
import { Card } from '../../components/Card';
import { CopyId } from '../../components/CopyId';
import { PageHead } from '../../components/PageHead';
import { EmptyState, ErrorState, Skeleton } from '../../components/States';
import { RelativeTime } from '../../components/Time';
import { useNow } from '../../lib/ticker';
import { providerWords } from '../../lib/words';
import { type DataColumn, DataTable } from './DataTable';
import { holders, keyRoleWords, keySteps, movedShare, nextStep, secretEnd, standingOf } from './keys';
import { keysQuery, overviewQuery } from './queries';
import type { EncryptionKey, EncryptionKeys } from './shapes';
import { many, number } from './words';

const columns: readonly DataColumn<EncryptionKey>[] = [
  {
    id: 'key',
    header: 'Key',
    cell: ({ fingerprint }) => <CopyId id={fingerprint} name="key fingerprint" whole />,
  },
  {
    id: 'role',
    header: 'What it does',
    cell: ({ role, is_idle }) => {
      const { label, tone, meaning } = keyRoleWords(role);
      return (
        <span className="app-head">
          <Badge tone={tone} title={meaning}>
            {label}
          </Badge>
          {is_idle && (
            <Badge tone="neutral" title="No row needs it, as far as can be seen from here.">
              Not needed
            </Badge>
          )}
        </span>
      );
    },
  },
  {
    id: 'with',
    header: 'Processes that have it',
    cell: ({ encrypting, decrypting }) => holders([...encrypting, ...decrypting]),
  },
  {
    id: 'without',
    header: 'Processes that lack it',
    cell: ({ lacking }) => holders(lacking),
  },
  { id: 'rows', header: 'Rows', align: 'end', cell: ({ rows }) => number(rows) },
];

/** The encryption keys by their fingerprints, and how far a change of keys has come. */
export function KeysPage() {
  const { data, error, refetch, isFetching } = useQuery(keysQuery);
  return (
    <>
      <PageHead
        title="Keys"
        description={
          data ? (
            <>
              What tokens are encrypted with, looked at <RelativeTime at={data.at} />. Keys are shown by their
              fingerprints; no page ever has a key.
            </>
          ) : (
            'What tokens are encrypted with.'
          )
        }
      />
      {data ? (
        <Standing keys={data} />
      ) : (
        <Card>
          {error ? (
            <ErrorState error={error} onRetry={() => void refetch()} isRetrying={isFetching} />
          ) : (
            <Skeleton lines={5} label="Loading the keys" />
          )}
        </Card>
      )}
    </>
  );
}

function Standing({ keys }: { keys: EncryptionKeys }) {
  const { tone, title, text } = standingOf(keys);
  return (
    <div className="stack">
      {tone !== 'good' && (
        <Banner tone={tone} icon="key" title={title}>
          <p>{text}</p>
        </Banner>
      )}
      <Card title="Encrypted rows">
        <Progress keys={keys} />
      </Card>
      <Card flush title="Keys">
        {keys.keys.length === 0 ? (
          <EmptyState icon="key" title="No key is heard of">
            The process that answers you tells its keys within seconds.
          </EmptyState>
        ) : (
          <DataTable
            caption="Encryption keys"
            columns={columns}
            rows={keys.keys}
            rowKey={({ fingerprint }) => fingerprint}
          />
        )}
      </Card>
      <Card
        title="Changing keys"
        description="Keys are given to processes in FERNET_KEY, never through this page. With a generated key file, one process does all of it by “evergrant keys rotate”."
      >
        <div className="stack">
          <p className="prose">{nextStep(keys)}</p>
          <ol className="steps">
            {keySteps(keys).map(({ text, command, stage }) => (
              <li key={text} data-stage={stage} aria-current={stage === 'next' ? 'step' : undefined}>
                <p className="prose">
                  {text} {stage === 'done' && <Badge tone="good">Done</Badge>}
                  {stage === 'next' && <Badge tone="info">Now</Badge>}
                </p>
                {command !== undefined && <CopyId id={command} name="command" whole />}
              </li>
            ))}
          </ol>
          <p className="prose muted small">
            Run commands where Evergrant runs, with its settings. Each writes into the audit log who did it,
            and with <code>--why</code> why. <code>evergrant keys list</code> shows the same as this page.
          </p>
        </div>
      </Card>
      <ClientSecrets />
    </div>
  );
}

function Progress({ keys }: { keys: EncryptionKeys }) {
  const { rows, rows_left: left, rows_missing_their_key: missing } = keys;
  if (rows === 0) return <p>No row is encrypted yet. The first comes with the first connection.</p>;
  if (left === 0) return <p>All {many(rows, 'row')} are under a key that encrypts. Nothing is left to do.</p>;
  const share = movedShare(keys);
  const moving = left - missing;
  return (
    <div className="stack" role="status">
      <progress
        className="progress"
        aria-label="Rows that are encrypted with a present key"
        max={rows}
        value={rows - left}
      />
      <p>
        {number(rows - left)} of {many(rows, 'row')} ({share} %) are under a key that encrypts.{' '}
        {moving > 0 && `${many(moving, 'row')} are encrypted again in the background. `}
        {missing > 0 && `${many(missing, 'row')} cannot be: no live process has their key.`}
      </p>
    </div>
  );
}

/** Client secrets end at some providers: then nothing is refreshed. */
function ClientSecrets() {
  const { data } = useQuery(overviewQuery);
  const now = useNow(60_000);
  const apps = data?.provider_apps?.filter(({ is_configured }) => is_configured) ?? [];
  if (apps.length === 0) return null;
  return (
    <Card
      flush
      title="Client secrets"
      description="What provider apps show at the provider. When one ends, nothing of its app is refreshed until it has a new one."
    >
      <ul className="apps">
        {apps.map(({ provider, client_secret_ends_at: end }) => {
          const ending = secretEnd(end, now);
          return (
            <li key={provider} className="app">
              <div className="app-head">
                <h3>{providerWords(provider)}</h3>
                {ending ? (
                  <Badge tone={ending.tone}>{ending.title}</Badge>
                ) : (
                  <span className="muted small">
                    No end is configured; if it has one, name it in <code>client_secret_expires_at</code>.
                  </span>
                )}
                {end && (
                  <span className="muted small">
                    <RelativeTime at={end} withLocal />
                  </span>
                )}
              </div>
              {ending && ending.text !== '' && <p className="small prose">{ending.text}</p>}
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
