import { useState } from 'react';

import { Button } from '../../components/Button';
import { useDrain, useUndrain } from './controls';
import { OrderDialog } from './OrderDialog';
import { OrderLine } from './PauseButton';
import type { Process } from './shapes';
import { roleWords } from './words';

/** Takes a worker out, as before its host is stopped, and back in. */
export function DrainButton({ process }: { process: Process }) {
  const [isAsking, ask] = useState(false);
  const drain = useDrain();
  const undrain = useUndrain();
  const { process: id, role, drain: order } = process;
  const short = `…${id.slice(-4)}`;
  const close = () => {
    ask(false);
  };
  if (order) {
    return (
      <span className="cell-deed">
        <Button
          size="sm"
          icon="play"
          isPending={undrain.isPending}
          onPress={() => {
            undrain.mutate(id);
          }}
        >
          Take back in <span className="visually-hidden">{short}</span>
        </Button>
        <span className="muted small">
          <OrderLine order={order} what="Drained" />
        </span>
      </span>
    );
  }
  return (
    <>
      <Button
        size="sm"
        icon="pause"
        onPress={() => {
          ask(true);
        }}
      >
        Drain <span className="visually-hidden">{short}</span>
      </Button>
      {isAsking && (
        <OrderDialog
          needsReason
          title={`Drain this process (${short})?`}
          confirm="Drain"
          isPending={drain.isPending}
          onConfirm={(why) => {
            drain.mutate({ process: id, why }, { onSettled: close });
          }}
          onClose={close}
        >
          <p>
            It takes no new jobs, finishes those in hand, and stays up. When it is “Drained” here, it can be
            stopped without any job waiting for it.
          </p>
          {role === 'serve' && (
            <p>
              This one runs everything ({roleWords(role)}): if no other process takes jobs, nothing is
              refreshed until it is taken back in.
            </p>
          )}
        </OrderDialog>
      )}
    </>
  );
}
