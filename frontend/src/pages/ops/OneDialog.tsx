import { useId, useState } from 'react';

import { Button } from '../../components/Button';
import { Modal } from '../../components/Dialog';
import { TextField } from '../../components/Field';
import { payloadProblem } from './payload';
import { type Deed, useDealWithOne } from './queries';

interface OneDialogProps {
  id: string;
  deed: Deed;
  /** What to begin with, to replay another payload than the one that failed. */
  payload?: string;
  onClose: () => void;
}

/** Asks before one failed job is replayed or discarded. */
export function OneDialog({ id, deed, payload, onClose }: OneDialogProps) {
  const deal = useDealWithOne();
  const area = useId();
  const [reason, setReason] = useState('');
  const [edited, edit] = useState(payload);
  const wrong = edited === undefined ? undefined : payloadProblem(edited);
  const isReplay = deed === 'replay';
  return (
    <Modal
      isOpen
      isWide={payload !== undefined}
      title={isReplay ? 'Replay this job?' : 'Discard this job?'}
      onClose={onClose}
      actions={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button
            variant={isReplay ? 'primary' : 'danger'}
            isPending={deal.isPending}
            isDisabled={wrong !== undefined}
            onPress={() => {
              const wish = { id, deed, reason, ...(edited === undefined ? {} : { payload: edited }) };
              deal.mutate(wish, { onSettled: onClose });
            }}
          >
            {isReplay ? 'Replay' : 'Discard'}
          </Button>
        </>
      }
    >
      <p>
        {isReplay
          ? 'The connection is looked at first. If it still needs a refresh, one is put into the queue; a spent token is never used again.'
          : 'It is given up for good. The connection stays as it is, and goes on being tried if it can be.'}
      </p>
      {edited !== undefined && (
        <div className="field">
          <label htmlFor={area}>Payload</label>
          <textarea
            id={area}
            className="input input-area"
            spellCheck={false}
            value={edited}
            aria-invalid={wrong !== undefined}
            aria-describedby={`${area}-help`}
            onChange={({ target }) => {
              edit(target.value);
            }}
          />
          <p id={`${area}-help`} className={wrong === undefined ? 'field-help' : 'field-error'}>
            {wrong ?? 'Of it the connection counts; version and time are taken from the connection as it is.'}
          </p>
        </div>
      )}
      <TextField
        label="Reason (optional)"
        help="It stands in the audit log beside your name."
        maxLength={500}
        value={reason}
        onChange={setReason}
      />
    </Modal>
  );
}
