/** A table of a page's data. Rule: it scrolls inside of itself, so a narrow window never scrolls sideways as a whole. */
import type { ComponentChildren } from 'preact';

export interface TableColumn<T> {
  title: string;
  cell: (row: T) => ComponentChildren;
  /** Figures stand at the end of their cell. */
  numeric?: boolean;
}

export interface DataTableProps<T> {
  caption: string;
  columns: readonly TableColumn<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
}

export const DataTable = <T,>({ caption, columns, rows, keyOf }: DataTableProps<T>) => (
  <div class="table-scroll" role="region" aria-label={caption} tabIndex={0}>
    <table class="data-table">
      <caption class="sr-only">{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ title, numeric }) => (
            <th key={title} scope="col" class={numeric === true ? 'numeric' : undefined}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)}>
            {columns.map(({ title, cell, numeric }) => (
              <td key={title} class={numeric === true ? 'numeric' : undefined}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  </div>
);
