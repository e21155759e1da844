/**
 * Short messages at the edge of the window, and texts that a screen reader speaks.
 *
 * Rule: what a notice says stays long enough to be read, and one with a button or a problem stays until it is closed. Pages call
 * `announce` and `notify`.
 */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { Button } from '../ui/button.tsx';
import { EscapedText } from '../ui/escaped-text.tsx';

export interface Notice {
  id: number;
  kind: 'info' | 'success' | 'problem';
  /** May hold a model's or a person's words: it is shown as text, misleading characters escaped. */
  text: string;
  action?: { label: string; run: () => void };
}

const notices = signal<readonly Notice[]>([]);
const spoken = signal('');
const MAX = 4;
const READ_MS = 6_000;
let nextId = 1;

/** A screen reader speaks the text; nothing is shown. */
export const announce = (text: string): void => {
  // The same text again is spoken only where it differs.
  spoken.value = spoken.peek() === text ? `${text}\u00A0` : text;
};

export const dismiss = (id: number): void => {
  notices.value = notices.peek().filter((notice) => notice.id !== id);
};

export const notify = (notice: Omit<Notice, 'id'>): number => {
  const id = nextId;
  nextId += 1;
  notices.value = [...notices.peek(), { ...notice, id }].slice(-MAX);
  return id;
};

const NoticeCard = ({ notice }: { notice: Notice }) => {
  const stays = notice.kind === 'problem' || notice.action !== undefined;
  useEffect(() => {
    if (stays) return undefined;
    const timer = setTimeout(() => dismiss(notice.id), READ_MS);
    return () => clearTimeout(timer);
  }, [notice.id, stays]);
  return (
    <div class={`notice notice-${notice.kind}`}>
      <p>
        <EscapedText text={notice.text} />
      </p>
      {notice.action === undefined ? null : (
        <Button
          kind="quiet"
          onClick={() => {
            notice.action?.run();
            dismiss(notice.id);
          }}
        >
          {notice.action.label}
        </Button>
      )}
      <button
        type="button"
        class="notice-close"
        aria-label="Close the message"
        onClick={() => dismiss(notice.id)}
      >
        ×
      </button>
    </div>
  );
};

export const Notices = () => (
  <>
    <div class="sr-only" role="status" aria-live="polite">
      {spoken.value}
    </div>
    <div class="notices" role="log" aria-label="Messages" aria-live="polite">
      {notices.value.map((notice) => (
        <NoticeCard key={notice.id} notice={notice} />
      ))}
    </div>
  </>
);
