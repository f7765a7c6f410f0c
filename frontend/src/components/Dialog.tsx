import { type ReactNode, useId, useLayoutEffect, useRef } from 'react';

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

interface ModalProps {
  isOpen: boolean;
  title: string;
  children: ReactNode;
  /** The buttons, the one that does it last. */
  actions: ReactNode;
  isWide?: boolean;
  onClose: () => void;
}

/**
 * The browser's own modal dialog: it keeps the focus, closes with Escape, gives the focus back, and needs no injected
 * style, which the Content-Security-Policy refuses.
 */
export function Modal({ isOpen, title, children, actions, isWide = false, onClose }: ModalProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Closed before it is taken away, so that the browser gives the focus back.
  useLayoutEffect(() => {
    const element = dialog.current;
    if (!isOpen || !element) return;
    element.showModal();
    return () => {
      element.close();
    };
  }, [isOpen]);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      data-wide={isWide || undefined}
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-body`}
      // Closed through the state, as by a button. What the browser closes in spite of that is told by `close`.
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClose={onClose}
    >
      {isOpen && (
        <>
          <h2 id={`${id}-title`}>{title}</h2>
          <div id={`${id}-body`} className="dialog-body">
            {children}
          </div>
          <div className="dialog-actions">{actions}</div>
        </>
      )}
    </dialog>
  );
}

/** Asks before something that cannot be taken back. */
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
  return (
    <Modal
      isOpen={isOpen}
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button variant={isDangerous ? 'danger' : 'primary'} isPending={isPending} onPress={onConfirm}>
            {confirm}
          </Button>
        </>
      }
    >
      {children}
    </Modal>
  );
}
