import { type ReactNode, useEffect, useId, useRef } from 'react';

import { Button } from './Button';

interface ConfirmProps {
  isOpen: boolean;
  title: string;
  /** What will happen, and what will not. */
  children: ReactNode;
  /** What the button says: what it does, never `OK`. */
  confirm: string;
  isDangerous?: boolean;
  isPending?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

/**
 * Asks before something that cannot be taken back. It is the browser's own modal dialog: it keeps the focus, closes with
 * Escape, gives the focus back, and needs no injected style, which the Content-Security-Policy refuses.
 */
export function ConfirmDialog({
  isOpen,
  title,
  children,
  confirm,
  isDangerous = false,
  isPending = false,
  onConfirm,
  onClose,
}: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    if (isOpen && element?.open === false) element.showModal();
    if (!isOpen && element?.open === true) element.close();
  }, [isOpen]);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-body`}
      onClose={onClose}
    >
      {isOpen && (
        <>
          <h2 id={`${id}-title`}>{title}</h2>
          <div id={`${id}-body`} className="dialog-body">
            {children}
          </div>
          <div className="dialog-actions">
            <Button onPress={onClose}>Cancel</Button>
            <Button variant={isDangerous ? 'danger' : 'primary'} isPending={isPending} onPress={onConfirm}>
              {confirm}
            </Button>
          </div>
        </>
      )}
    </dialog>
  );
}
