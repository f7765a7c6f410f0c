import { useState } from 'react';

import { Button } from '../../components/Button';
import { RelativeTime } from '../../components/Time';
import { PAUSE_MEANINGS, type Target, targetWords, usePause, useResume } from './controls';
import { OrderDialog } from './OrderDialog';
import type { Order } from './shapes';

interface PauseButtonProps {
  target: Target;
  paused: Order | null | undefined;
  size?: 'sm' | 'md';
}

/** Pauses what runs and resumes what is paused, after a question. */
export function PauseButton({ target, paused, size = 'md' }: PauseButtonProps) {
  // What was asked stays, though the answer changes what the button would ask next.
  const [asking, ask] = useState<'pause' | 'resume'>();
  const pause = usePause();
  const resume = useResume();
  const name = targetWords(target);
  const close = () => {
    ask(undefined);
  };
  return (
    <>
      <Button
        size={size}
        icon={paused ? 'play' : 'pause'}
        onPress={() => {
          ask(paused ? 'resume' : 'pause');
        }}
      >
        {paused ? 'Resume' : 'Pause'} <span className="visually-hidden">{name}</span>
      </Button>
      {asking === 'pause' && (
        <OrderDialog
          needsReason
          title={`Pause ${name}?`}
          confirm="Pause"
          isPending={pause.isPending}
          onConfirm={(why) => {
            pause.mutate({ target, why }, { onSettled: close });
          }}
          onClose={close}
        >
          <p>{PAUSE_MEANINGS[target.kind]}</p>
        </OrderDialog>
      )}
      {asking === 'resume' && (
        <OrderDialog
          title={`Resume ${name}?`}
          confirm="Resume"
          isPending={resume.isPending}
          onConfirm={(why) => {
            resume.mutate({ target, why }, { onSettled: close });
          }}
          onClose={close}
        >
          {paused && <OrderLine order={paused} what="Paused" />}
          <p>What fell due meanwhile is due at once, the longest overdue first.</p>
        </OrderDialog>
      )}
    </>
  );
}

/** An order that stands: who, since when, why. */
export function OrderLine({ order, what }: { order: Order; what: string }) {
  return (
    <p className="prose">
      {what} by {order.by} <RelativeTime at={order.at} withLocal />: “{order.why}”
    </p>
  );
}
