import type { ReactNode } from 'react';

import { isWorthRetrying, problemWords } from '../lib/problemWords';
import { Button } from './Button';
import { CopyId } from './CopyId';
import { Icon, type IconName } from './Icon';

interface EmptyProps {
  icon?: IconName;
  title: string;
  children: ReactNode;
  /** The one thing to do. */
  action?: ReactNode;
}

/** There is nothing here, why that is fine, and what to do. */
export function EmptyState({ icon = 'link', title, children, action }: EmptyProps) {
  return (
    <div className="state">
      <div className="state-icon">
        <Icon name={icon} size={22} />
      </div>
      <h2>{title}</h2>
      <p>{children}</p>
      {action !== undefined && <div className="state-actions">{action}</div>}
    </div>
  );
}

interface ErrorProps {
  error: unknown;
  onRetry?: (() => void) | undefined;
  isRetrying?: boolean;
  /** The level of the heading: 1 where it is all of the page. */
  level?: 1 | 2;
}

/** What went wrong, what to do, and what to tell an operator. */
export function ErrorState({ error, onRetry, isRetrying = false, level = 2 }: ErrorProps) {
  const { title, detail, advice, requestId } = problemWords(error);
  const Heading = level === 1 ? 'h1' : 'h2';
  return (
    <div className="state" role="alert">
      <div className="state-icon" data-tone="bad">
        <Icon name="warning" size={22} />
      </div>
      <Heading tabIndex={level === 1 ? -1 : undefined}>{title}</Heading>
      <p>{detail}</p>
      {advice && <p>{advice}</p>}
      {onRetry && isWorthRetrying(error) && (
        <div className="state-actions">
          <Button icon="refresh" onPress={onRetry} isPending={isRetrying}>
            Try again
          </Button>
        </div>
      )}
      {requestId !== undefined && (
        <p className="small">
          Request id: <CopyId id={requestId} name="request id" />
        </p>
      )}
    </div>
  );
}

/** Stands where something will be in a moment. */
export function Skeleton({ lines = 3, label = 'Loading' }: { lines?: number; label?: string }) {
  const widths = ['w-60', 'w-90', 'w-40'];
  return (
    <div role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} className={`skeleton ${widths[line % widths.length] ?? ''}`} />
      ))}
    </div>
  );
}
