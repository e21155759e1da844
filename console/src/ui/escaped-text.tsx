/**
 * Text that a model, a person or a server wrote, as text: characters that hide, reorder or imitate are written as `\uXXXX` and marked.
 *
 * Rule: every such text on every page is shown by this module. Nothing here makes markup of it, and the direction of its letters
 * stays inside of it.
 */
import { useState } from 'preact/hooks';
import { visible } from '../../../protocol/rules/visible.ts';

const ESCAPE = /(\\u[0-9a-f]{4})/;

/** `already`: the text is escaped, such as `arguments_shown` of the API. */
export const EscapedText = ({ text, already = false }: { text: string; already?: boolean }) => {
  const shown = already ? text : visible(text);
  const parts = shown.includes('\\u') ? shown.split(ESCAPE) : [shown];
  return (
    <bdi class="escaped-text">
      {parts.map((part, index) =>
        index % 2 === 1 ? (
          <span key={index} class="escape">
            {part}
          </span>
        ) : (
          part
        ),
      )}
    </bdi>
  );
};

/** Escapes a text of several lines; the lines stay. */
const visibleLines = (text: string): string =>
  text
    .split(/\r?\n/)
    .map((line) => visible(line.replaceAll('\t', '    ')))
    .join('\n');

/** The button below the beginning of a long text. */
export const ShowAll = ({ characters, onClick }: { characters: number; onClick: () => void }) => (
  <button type="button" class="link-button show-all" onClick={onClick}>
    Show all {characters.toLocaleString('en')} characters
  </button>
);

const FIRST = 4_000;

/** A text of several lines, the beginning of a long one with a button for the rest. Escaping costs time, so a part is cut first. */
export const EscapedLines = ({ text, most = FIRST }: { text: string; most?: number }) => {
  const [whole, setWhole] = useState(false);
  const cut = !whole && text.length > most;
  return (
    <div class="escaped-lines">
      <EscapedText text={visibleLines(cut ? beginning(text, most) : text)} already />
      {cut ? <ShowAll characters={text.length} onClick={() => setWhole(true)} /> : null}
    </div>
  );
};

/** Never half a character. */
const beginning = (text: string, characters: number): string =>
  text.slice(0, characters).replace(/[\uD800-\uDBFF]$/, '');
