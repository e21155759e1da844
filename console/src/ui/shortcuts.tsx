/**
 * Keys that act at once, and the dialog that lists them.
 *
 * Rule: single keys do nothing while a person types, holds a modifier or has a dialog open, and can be switched off: a person who
 * speaks to the computer "presses" them by words. Pages register theirs while they are shown.
 */
import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Dialog } from './dialog.tsx';

export interface Shortcut {
  /** As `KeyboardEvent.key`, such as `j`, `Enter`, `?`. */
  key: string;
  /** What it does; absent = another one of the list says it. */
  label?: string;
  run: () => void;
}

const STORE = 'runs.shortcuts';
const stored = (): boolean => {
  try {
    return localStorage.getItem(STORE) !== 'off';
  } catch {
    return true;
  }
};

const enabled = signal(stored());
const helpOpen = signal(false);
const registered = signal<readonly (readonly Shortcut[])[]>([]);

export const switchShortcuts = (on: boolean): void => {
  enabled.value = on;
  try {
    localStorage.setItem(STORE, on ? 'on' : 'off');
  } catch {
    // Storage is closed to the page: the choice lasts as long as the window.
  }
};

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.matches('textarea, select, input:not([type=checkbox], [type=radio])'));

/** Enter on a link or a button is that link's or button's own. */
const isOwnKey = (key: string, target: EventTarget | null): boolean =>
  (key === 'Enter' || key === ' ') &&
  target instanceof HTMLElement &&
  target.closest('a, button, summary') !== null;

const onKey = (event: KeyboardEvent): void => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector('dialog[open]') !== null || isOwnKey(event.key, event.target)) return;
  if (isTyping(event.target)) {
    // Escape leaves the field; the next one is the page's.
    if (event.key === 'Escape' && event.target instanceof HTMLElement) event.target.blur();
    return;
  }
  const single = event.key.length === 1;
  if (single && !enabled.peek()) return;
  if (event.key === '?') {
    event.preventDefault();
    helpOpen.value = true;
    return;
  }
  const found = registered
    .peek()
    .toReversed()
    .flat()
    .find(({ key }) => key === event.key);
  if (found === undefined) return;
  event.preventDefault();
  found.run();
};

/** The page's keys, while the component is shown. The newest registration wins. */
export const useShortcuts = (shortcuts: readonly Shortcut[]): void => {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  const keys = shortcuts.map(({ key, label }) => `${key} ${label ?? ''}`).join('\n');
  // Before the paint: a key that is pressed as soon as the page shows it must not be lost.
  useLayoutEffect(() => {
    if (registered.peek().length === 0) document.addEventListener('keydown', onKey);
    const own: readonly Shortcut[] = latest.current.map(({ key, label }, index) => ({
      key,
      ...(label === undefined ? {} : { label }),
      run: () => latest.current[index]?.run(),
    }));
    registered.value = [...registered.peek(), own];
    return () => {
      registered.value = registered.peek().filter((list) => list !== own);
      if (registered.peek().length === 0) document.removeEventListener('keydown', onKey);
    };
  }, [keys]);
};

export const ShortcutHelp = () => {
  if (!helpOpen.value) return null;
  const rows = registered.value.flat().filter(({ label }) => label !== undefined);
  return (
    <Dialog title="Keys" onClose={() => (helpOpen.value = false)}>
      <dl class="key-list">
        {rows.map(({ key, label }) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{label}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>?</kbd>
          </dt>
          <dd>Show this list</dd>
        </div>
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={enabled.value}
          onChange={(event) => switchShortcuts(event.currentTarget.checked)}
        />{' '}
        Single keys act at once
      </label>
    </Dialog>
  );
};
