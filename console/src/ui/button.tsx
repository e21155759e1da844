/** A button. Rule: a busy one keeps its width and its focus, and takes no second click. */
import type { ComponentChildren } from 'preact';

export interface ButtonProps {
  children: ComponentChildren;
  /** Default `normal`. */
  kind?: 'normal' | 'primary' | 'danger' | 'quiet';
  type?: 'button' | 'submit';
  busy?: boolean;
  disabled?: boolean;
  /** The key that does the same, shown at its end. */
  shortcut?: string;
  label?: string;
  pressed?: boolean;
  onClick?: () => void;
}

export const Button = (props: ButtonProps) => {
  const {
    children,
    kind = 'normal',
    type = 'button',
    busy = false,
    disabled = false,
    shortcut,
    label,
  } = props;
  return (
    <button
      type={type}
      class={`button button-${kind}`}
      aria-busy={busy}
      // Not `disabled` while busy: that would drop the focus.
      aria-disabled={busy || undefined}
      aria-label={label}
      aria-pressed={props.pressed}
      aria-keyshortcuts={shortcut}
      disabled={disabled}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else props.onClick?.();
      }}
    >
      {children}
      {shortcut === undefined ? null : (
        <kbd class="button-key" aria-hidden="true">
          {shortcut}
        </kbd>
      )}
    </button>
  );
};
