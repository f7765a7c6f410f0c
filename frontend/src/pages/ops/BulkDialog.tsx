import { type ReactNode, useState } from 'react';

import { Button } from '../../components/Button';
import { Modal } from '../../components/Dialog';
import { TextField } from '../../components/Field';
import { Skeleton } from '../../components/States';
import type { Words } from '../../lib/words';
import type { Source } from './bulk';
import { type Progress, useBulk } from './useBulk';
import { many, number } from './words';

/** What a dialog says about its deed. */
export interface BulkWords {
  readonly title: string;
  readonly verb: string;
  readonly doing: string;
  readonly done: string;
  /** One of those that are dealt with. */
  readonly noun: string;
  /** Of how many the wish is fulfilled: `closed`. */
  readonly reached: string;
  readonly nothing: string;
  /** What would come of those that were looked at. */
  readonly forecast: (reached: number, left: number) => string;
  readonly note?: ReactNode;
  readonly outcome: (word: string) => Words;
  readonly isDangerous?: boolean;
}

interface BulkDialogProps {
  words: BulkWords;
  source: Source;
  onClose: () => void;
  onDone?: () => void;
}

/** A whole number above zero; `undefined`: none is given; `NaN`: something else is. */
export function wholeOf(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  return /^[1-9]\d{0,8}$/.test(trimmed) ? Number(trimmed) : NaN;
}

const RATE_MOST = 1_000;

/** Says first what would come of it, then does it, and can be stopped and gone on with. */
export function BulkDialog({ words, source, onClose, onDone }: BulkDialogProps) {
  const { verb, doing, noun } = words;
  const { progress, start, goOn, stop, look } = useBulk(source, `${noun}s`);
  const [reason, setReason] = useState('');
  const [limitText, setLimit] = useState('');
  const [rateText, setRate] = useState('');
  const { phase } = progress;
  const limit = wholeOf(limitText);
  const rate = wholeOf(rateText);
  const isLimitWrong = Number.isNaN(limit);
  const isRateWrong = Number.isNaN(rate) || (rate ?? 0) > RATE_MOST;
  // While it works, leaving stops it.
  const close = () => {
    if (phase === 'done') onDone?.();
    onClose();
  };
  const isAsking = phase === 'asking' && isUseful(progress);
  return (
    <Modal
      isOpen
      isWide
      title={words.title}
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
          {phase === 'done' && progress.end !== 'all' && source.isWhole !== true && (
            <Button variant="primary" onPress={() => void goOn()}>
              Go on
            </Button>
          )}
          {(phase === 'working' || isAsking) && (
            <Button
              variant={words.isDangerous ? 'danger' : 'primary'}
              isPending={phase === 'working'}
              isDisabled={phase === 'asking' && (isLimitWrong || isRateWrong)}
              onPress={() => {
                void start({
                  reason: reason.trim(),
                  ...(limit === undefined ? {} : { limit }),
                  ...(rate === undefined ? {} : { rate }),
                });
              }}
            >
              {phase === 'working' ? doing : `${verb} ${howMany(progress, noun, limit)}`}
            </Button>
          )}
        </>
      }
    >
      <div role="status" className="dialog-body">
        {phase === 'looking' && <Skeleton lines={3} label="Looking at what would come of it" />}
        {phase === 'failed' && <p>{progress.trouble} Nothing was done.</p>}
        {phase === 'asking' && <Forecast words={words} progress={progress} />}
        {phase === 'working' && <Working words={words} progress={progress} limit={limit} />}
        {phase === 'done' && <Result words={words} progress={progress} />}
      </div>
      {isAsking && (
        <>
          <TextField
            label="Reason (optional)"
            help="It stands in the audit log beside your name."
            maxLength={500}
            value={reason}
            onChange={setReason}
          />
          {source.isWhole !== true && (
            <details className="filters-more">
              <summary>Only some, or slowly</summary>
              <div>
                <TextField
                  label="At most"
                  help={`So many ${noun}s in all.`}
                  inputMode="numeric"
                  value={limitText}
                  onChange={setLimit}
                  error={isLimitWrong ? 'A whole number is expected, or nothing.' : undefined}
                />
                <TextField
                  label="In a second"
                  help="As many as the workers can take, if you do not say."
                  inputMode="numeric"
                  value={rateText}
                  onChange={setRate}
                  error={
                    isRateWrong
                      ? `A whole number up to ${number(RATE_MOST)} is expected, or nothing.`
                      : undefined
                  }
                />
              </div>
            </details>
          )}
        </>
      )}
    </Modal>
  );
}

/** Whether anything would come of it, as far as the dry run looked. */
function isUseful({ total, totalIsAtLeast, looked, reached }: Progress): boolean {
  return total > 0 && (reached > 0 || looked < total || totalIsAtLeast);
}

function howMany({ total, totalIsAtLeast }: Progress, noun: string, limit?: number): string {
  if (limit !== undefined && limit <= total) return many(limit, noun);
  return totalIsAtLeast ? `more than ${many(total, noun)}` : many(total, noun);
}

interface Part {
  words: BulkWords;
  progress: Progress;
}

function Forecast({ words, progress }: Part) {
  const { total, looked, reached, looksOn, outcomes } = progress;
  if (total === 0) return <p>{words.nothing}</p>;
  const isPart = looked < total || progress.totalIsAtLeast;
  return (
    <>
      <p>
        <strong>{`${howMany(progress, words.noun)} ${total === 1 ? 'matches' : 'match'}.`}</strong>{' '}
        {looksOn && 'They are being counted. '}
        {isPart && `Of the first ${number(looked)}, `}
        {words.forecast(reached, looked - reached)}
      </p>
      <Outcomes words={words} outcomes={outcomes} />
      {words.note !== undefined && <p>{words.note}</p>}
    </>
  );
}

function Working({ words, progress, limit }: Part & { limit: number | undefined }) {
  const { total, totalIsAtLeast, handled, reached, waitsFor } = progress;
  const most = limit === undefined ? total : Math.min(limit, total);
  // How far it is of something that was not counted is not known.
  const isKnown = !totalIsAtLeast || (limit !== undefined && limit <= total);
  return (
    <>
      <progress
        className="progress"
        aria-label={words.doing}
        max={Math.max(most, 1)}
        {...(isKnown ? { value: Math.min(handled, most) } : {})}
      />
      <p>
        {number(handled)} of {howMany(progress, words.noun, limit)} looked at, {number(reached)}{' '}
        {words.reached}.
      </p>
      {waitsFor !== undefined && <p>{waitsFor} It goes on by itself in a moment.</p>}
    </>
  );
}

function Result({ words, progress }: Part) {
  const { handled, reached, outcomes, trouble, end } = progress;
  return (
    <>
      <p>
        <strong>
          {words.done}: {number(reached)} of {number(handled)}.
        </strong>{' '}
        {end === 'stopped' && 'You stopped it. What was done stays done; the others are as they were.'}
        {trouble !== undefined &&
          `It ended early: ${trouble} What was done stays done. Go on a little later.`}
      </p>
      <Outcomes words={words} outcomes={outcomes} />
    </>
  );
}

function Outcomes({ words, outcomes }: { words: BulkWords; outcomes: Readonly<Record<string, number>> }) {
  const found = Object.entries(outcomes).sort(([, one], [, other]) => other - one);
  return (
    <ul className="outcomes">
      {found.map(([outcome, count]) => {
        const { label, meaning } = words.outcome(outcome);
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
