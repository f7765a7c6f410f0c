import { type ReactNode, useState } from 'react';

import { Button } from '../../components/Button';
import { Modal } from '../../components/Dialog';
import { TextField } from '../../components/Field';

interface OrderDialogProps {
  title: string;
  /** What comes of it. */
  children: ReactNode;
  confirm: string;
  /** Whether a reason has to be given: people who meet the effect elsewhere are told it. */
  needsReason?: boolean;
  isDangerous?: boolean;
  isPending: boolean;
  onConfirm: (why: string) => void;
  onClose: () => void;
}

/** Asks before an order, and for its reason. */
export function OrderDialog({
  title,
  children,
  confirm,
  needsReason = false,
  isDangerous = false,
  isPending,
  onConfirm,
  onClose,
}: OrderDialogProps) {
  const [why, setWhy] = useState('');
  const reason = why.trim();
  return (
    <Modal
      isOpen
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button
            variant={isDangerous ? 'danger' : 'primary'}
            isPending={isPending}
            isDisabled={needsReason && reason === ''}
            onPress={() => {
              onConfirm(reason);
            }}
          >
            {confirm}
          </Button>
        </>
      }
    >
      {children}
      <TextField
        label={needsReason ? 'Reason' : 'Reason (optional)'}
        help={
          needsReason
            ? 'Whoever meets the effect is told it. It also stands in the audit log beside your name.'
            : 'It stands in the audit log beside your name.'
        }
        isRequired={needsReason}
        maxLength={500}
        value={why}
        onChange={setWhy}
      />
    </Modal>
  );
}
