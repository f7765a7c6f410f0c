import { Badge } from '../../components/Badge';
import { Card } from '../../components/Card';
import { EmptyState } from '../../components/States';
import { Countdown, RelativeTime } from '../../components/Time';
import { useNow } from '../../lib/ticker';
import { providerWords } from '../../lib/words';
import { secretEnd } from './keys';
import { OrderLine, PauseButton } from './PauseButton';
import type { ProviderApp } from './shapes';
import { appWords } from './words';

/** The provider apps: whether refreshes go through, since when not, and what to do. */
export function ProviderApps({ apps }: { apps: ProviderApp[] | null }) {
  return (
    <Card flush title="Provider apps" description="Whether refreshes go through, for each app at a provider.">
      {apps === null ? (
        <EmptyState icon="warning" title="Not known at the moment">
          The database does not answer. This is looked at again by itself.
        </EmptyState>
      ) : apps.length === 0 ? (
        <EmptyState icon="key" title="No provider app is configured">
          Give Evergrant the client id and secret of your app; <code>evergrant doctor</code> says how.
        </EmptyState>
      ) : (
        <ul className="apps">
          {apps.map((app) => (
            <App key={app.provider} app={app} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function App({ app }: { app: ProviderApp }) {
  const { provider, state, since, probe_at, code, message, paused } = app;
  const { label, tone, advice } = appWords(app);
  const isHeld = state !== 'open';
  const secret = secretEnd(app.client_secret_ends_at, useNow(60_000));
  const name = providerWords(provider);
  return (
    <li className="app">
      <div className="app-head">
        <h3>{name}</h3>
        {name !== provider && <code className="muted small">{provider}</code>}
        <Badge tone={tone}>{label}</Badge>
        {paused && <Badge tone="warn">Paused</Badge>}
        {secret && secret.tone !== 'good' && <Badge tone={secret.tone}>Client secret: {secret.title}</Badge>}
        {isHeld && (
          <span className="muted small">
            since <RelativeTime at={since} none="unknown" withLocal />
            {probe_at && (
              <>
                , next probe <Countdown at={probe_at} past="any moment" />
              </>
            )}
          </span>
        )}
        <span className="app-actions">
          <PauseButton size="sm" target={{ kind: 'app', name: provider }} paused={paused} />
        </span>
      </div>
      {paused && <OrderLine order={paused} what="Paused" />}
      {/* Whatever its state is, a pause is what counts until it ends. */}
      {(!paused || isHeld) && <p className="small prose">{advice}</p>}
      {secret && secret.text !== '' && <p className="small prose">{secret.text}</p>}
      {isHeld && (message ?? code) && (
        <p className="small muted">
          {message} {code && <code>{code}</code>}
        </p>
      )}
    </li>
  );
}
