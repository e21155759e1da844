/** What went wrong, as a screen reader announces it too. Rule: the words may be a server's or a model's, so they are escaped. */
import { problemText } from '../http/api.ts';
import { EscapedText } from './escaped-text.tsx';

/** `error`: what was thrown, or a text; null or undefined shows nothing. */
export const Problem = ({ error }: { error: unknown }) =>
  error === null || error === undefined ? null : (
    <p class="problem" role="alert">
      <EscapedText text={typeof error === 'string' ? error : problemText(error)} />
    </p>
  );
