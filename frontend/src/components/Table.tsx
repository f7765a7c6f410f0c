import type { ReactNode } from 'react';

export interface Column<Row> {
  id: string;
  header: ReactNode;
  cell: (row: Row) => ReactNode;
  align?: 'start' | 'end';
  /** What a phone shows before the cell, where there is no header row; the header itself if it is a text. */
  label?: string;
}

interface TableProps<Row> {
  /** What the table shows, for those who hear it. */
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** On phones each row becomes a block of its own; without it the table scrolls sideways. */
  stacks?: boolean;
}

export function Table<Row>({ caption, columns, rows, rowKey, stacks = true }: TableProps<Row>) {
  return (
    <div className="table-scroll">
      <table className="table" data-stacks={stacks || undefined}>
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ id, header, align }) => (
              <th key={id} scope="col" data-align={align}>
                {header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map(({ id, header, cell, align, label }) => (
                <td
                  key={id}
                  data-align={align}
                  data-label={label ?? (typeof header === 'string' ? header : undefined)}
                >
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
