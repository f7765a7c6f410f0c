import { useState } from 'react';

import { Button } from '../../components/Button';
import { Modal } from '../../components/Dialog';
import { TextField } from '../../components/Field';
import { Skeleton } from '../../components/States';
import type { Deed } from './queries';
import { type Progress, useDealWithMany, type Which } from './useDealWithMany';
import { many, number, outcomeWords } from './words';

interface ManyDialogProps {
  deed: Deed;
  which: Which;
  onClose: () => void;
  onDone: () => void;
}

const VERBS = {
  replay: { title: 'Replay failed jobs', verb: 'Replay', doing: 'Replaying', done: 'Replayed' },
  discard: { title: 'Discard failed jobs', verb: 'Discard', doing: 'Discarding', done: 'Discarded' },
} as const;

/** Says first what would come of it, then does it, and can be stopped. */
export function ManyDialog({ deed, which, onClose, onDone }: ManyDialogProps) {
  const { progress, start, stop, look } = useDealWithMany(deed, which);
  const [reason, setReason] = useState('');
  const { phase, total, trouble } = progress;
  const { title, verb, doing } = VERBS[deed];
  // While it works, leaving stops it.
  const close = () => {
    if (phase === 'done') onDone();
    onClose();
  };
  return (
    <Modal
      isOpen
      isWide
      title={title}
      onClose={close}
      actions={
        <>
          {phase === 'working' ? (
            <Button onPress={stop}>Stop</Button>
          ) : (
            <Button onPress={close}>{phase === 'done' ? 'Close' : 'Cancel'}</Button>
          )}
          {phase === 'failed' && (
            <Button icon="refresh" onPress={() => void look()}>
              Try again
            </Button>
          )}
          {(phase === 'working' || (phase === 'asking' && isUseful(progress))) && (
            <Button
              variant={deed === 'discard' ? 'danger' : 'primary'}
              isPending={phase === 'working'}
              onPress={() => void start(reason)}
            >
              {phase === 'working' ? doing : `${verb} ${howMany(progress)}`}
            </Button>
          )}
        </>
      }
    >
      <div role="status" className="dialog-body">
        {phase === 'looking' && <Skeleton lines={3} label="Looking at what would come of it" />}
        {phase === 'failed' && <p>{trouble} Nothing was done.</p>}
        {phase === 'asking' && <Forecast deed={deed} progress={progress} />}
        {phase === 'working' && (
          <>
            <progress
              className="progress"
              aria-label={doing}
              max={Math.max(total, 1)}
              value={progress.handled}
            />
            <p>
              {number(progress.handled)} of {howMany(progress)} looked at, {number(progress.closed)} closed.
            </p>
          </>
        )}
        {phase === 'done' && <Result deed={deed} progress={progress} />}
      </div>
      {phase === 'asking' && isUseful(progress) && (
        <TextField
          label="Reason (optional)"
          help="It stands in the audit log beside your name."
          maxLength={500}
          value={reason}
          onChange={setReason}
        />
      )}
    </Modal>
  );
}

/** Whether anything would be closed, as far as the dry run looked. */
function isUseful({ total, totalIsAtLeast, looked, closed }: Progress): boolean {
  return total > 0 && (closed > 0 || looked < total || totalIsAtLeast);
}

function howMany({ total, totalIsAtLeast }: Progress): string {
  return totalIsAtLeast ? `more than ${many(total, 'job')}` : many(total, 'job');
}

function Forecast({ deed, progress }: { deed: Deed; progress: Progress }) {
  const { total, looked, closed, outcomes } = progress;
  if (total === 0) return <p>No open failed job matches. There is nothing to do.</p>;
  const isPart = looked < total || progress.totalIsAtLeast;
  const open = looked - closed;
  return (
    <>
      <p>
        <strong>{`${howMany(progress)} ${total === 1 ? 'matches' : 'match'}.`}</strong>{' '}
        {isPart && `Of the newest ${number(looked)}, `}
        {deed === 'replay'
          ? `${number(closed)} would be closed by a replay${open > 0 ? ` and ${number(open)} would stay open` : ''}.`
          : `${number(closed)} would be discarded for good${open > 0 ? ` and ${number(open)} would stay as they are` : ''}.`}
      </p>
      <Outcomes outcomes={outcomes} />
      {deed === 'replay' && (
        <p>
          No spent token is used: each connection is looked at first, and only what still needs it is
          refreshed.
        </p>
      )}
    </>
  );
}

function Result({ deed, progress }: { deed: Deed; progress: Progress }) {
  const { handled, closed, outcomes, trouble, isStopped } = progress;
  const { done } = VERBS[deed];
  return (
    <>
      <p>
        <strong>
          {done}: {number(closed)} of {number(handled)}.
        </strong>{' '}
        {isStopped && 'You stopped it. What was done stays done; the others are as they were.'}
        {trouble !== undefined &&
          `It ended early: ${trouble} What was done stays done. Begin again a little later.`}
      </p>
      <Outcomes outcomes={outcomes} />
    </>
  );
}

function Outcomes({ outcomes }: { outcomes: Readonly<Record<string, number>> }) {
  const found = Object.entries(outcomes).sort(([, one], [, other]) => other - one);
  return (
    <ul className="outcomes">
      {found.map(([outcome, count]) => {
        const { label, meaning } = outcomeWords(outcome);
        return (
          <li key={outcome}>
            <b>{number(count)}</b>
            <span>{label}</span>
            <small>{meaning}</small>
          </li>
        );
      })}
    </ul>
  );
}
