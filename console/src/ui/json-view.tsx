/**
 * JSON of a model or a server: as its exact text, or as a table of its keys.
 *
 * Rule: values are text. The table is for reading; the exact text stands beside it, since only that shows the difference between a
 * number and its digits in quotes.
 */
import { useState } from 'preact/hooks';
import { isRecord } from '../../../protocol/rules/is-record.ts';
import { visible } from '../../../protocol/rules/visible.ts';
import { EscapedLines, EscapedText, ShowAll } from './escaped-text.tsx';

const FIRST = 20_000;

/** Text of JSON. `already`: it is escaped, such as `arguments_shown` of the API. */
export const JsonText = ({ text, already = false }: { text: string; already?: boolean }) => {
  const [whole, setWhole] = useState(false);
  const cut = !whole && text.length > FIRST;
  const part = cut ? text.slice(0, text.lastIndexOf('\\', FIRST) > FIRST - 6 ? FIRST - 6 : FIRST) : text;
  return (
    <div class="json-text">
      {/* A region that scrolls must take the focus, or the keyboard can't scroll it. */}
      <pre tabIndex={0}>
        <code>
          <EscapedText text={already ? part : part.split('\n').map(visible).join('\n')} already />
        </code>
      </pre>
      {cut ? <ShowAll characters={text.length} onClick={() => setWhole(true)} /> : null}
    </div>
  );
};

const Scalar = ({ value }: { value: unknown }) => {
  if (typeof value === 'string')
    return value === '' ? <span class="muted">empty text</span> : <EscapedLines text={value} most={1_000} />;
  if (value === null) return <span class="muted">null</span>;
  return <span class="json-scalar">{JSON.stringify(value)}</span>;
};

/** A list of plain values fits in a line; anything deeper is shown as JSON. */
const ValueCell = ({ value }: { value: unknown }) => {
  if (typeof value === 'object' && value !== null) return <JsonText text={JSON.stringify(value, null, 2)} />;
  return <Scalar value={value} />;
};

const MOST_ROWS = 200;

/** The keys of an object with their values, each in a row. */
export const JsonTable = ({ value, caption }: { value: unknown; caption: string }) => {
  if (!isRecord(value)) return <ValueCell value={value} />;
  const entries = Object.entries(value);
  if (entries.length === 0) return <p class="muted">No arguments.</p>;
  return (
    <table class="json-table">
      <caption class="sr-only">{caption}</caption>
      <colgroup>
        <col class="json-key" />
        <col />
      </colgroup>
      <tbody>
        {entries.slice(0, MOST_ROWS).map(([key, item]) => (
          <tr key={key}>
            <th scope="row">
              <EscapedText text={key} />
            </th>
            <td>
              <ValueCell value={item} />
            </td>
          </tr>
        ))}
        {entries.length > MOST_ROWS ? (
          <tr>
            <td colSpan={2}>{entries.length - MOST_ROWS} more keys: see the exact text.</td>
          </tr>
        ) : null}
      </tbody>
    </table>
  );
};
