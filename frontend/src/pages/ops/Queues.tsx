import { Badge } from '../../components/Badge';
import { Card } from '../../components/Card';
import { EmptyState } from '../../components/States';
import { OrderLine, PauseButton } from './PauseButton';
import type { Queue } from './shapes';
import { kindWords, many } from './words';

/** The queues: how many jobs wait in each, and whether any is paused. */
export function Queues({ queues }: { queues: readonly Queue[] }) {
  return (
    <Card flush title="Queues" description="Jobs that wait, by what they are for.">
      {queues.length === 0 ? (
        <EmptyState icon="check" title="No queue is known">
          The next look says more.
        </EmptyState>
      ) : (
        <ul className="apps">
          {queues.map(({ kind, depth, paused }) => (
            <li key={kind} className="app">
              <div className="app-head">
                <h3>{kindWords(kind)}</h3>
                {paused && <Badge tone="warn">Paused</Badge>}
                <span className="muted small">
                  {typeof depth === 'number' ? many(depth, 'job') : 'Not known: the queue does not answer'}
                </span>
                <span className="app-actions">
                  <PauseButton size="sm" target={{ kind: 'queue', name: kind }} paused={paused} />
                </span>
              </div>
              {paused && <OrderLine order={paused} what="Paused" />}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
