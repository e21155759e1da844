/**
 * A modal dialog: the browser's own element, which keeps the focus inside, closes on Escape, and gives the focus back.
 *
 * Rule: it is in the document only while it is open. Pages give it a title, which names it.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

export interface DialogProps {
  title: string;
  children: ComponentChildren;
  onClose: () => void;
  /** Buttons at the end. */
  actions?: ComponentChildren;
  /** Default false. */
  wide?: boolean;
}

export const Dialog = ({ title, children, onClose, actions, wide = false }: DialogProps) => {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    // A dialog that asks for words is ready for them.
    dialog?.querySelector<HTMLElement>('textarea, input:not([type=checkbox])')?.focus();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={wide ? 'dialog dialog-wide' : 'dialog'}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === element.current) onClose();
      }}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={id}>{title}</h2>
          <button type="button" class="notice-close" aria-label="Close" onClick={onClose}>
            ×
          </button>
        </header>
        {children}
        {actions === undefined ? null : <footer class="dialog-actions">{actions}</footer>}
      </div>
    </dialog>
  );
};
