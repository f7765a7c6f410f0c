import {
  type Column,
  createColumnHelper,
  type RowData,
  rowSelectionFeature,
  type RowSelectionState,
  tableFeatures,
  useTable,
} from '@tanstack/react-table';
import { type ReactNode, useMemo } from 'react';

const features = tableFeatures({ rowSelectionFeature });
type Features = typeof features;

export interface DataColumn<Row> {
  id: string;
  header: string;
  cell: (row: Row) => ReactNode;
  align?: 'start' | 'end';
  /** The header is only for those who hear it, as over buttons. */
  isSilent?: boolean;
}

export interface Selection<Row> {
  readonly chosen: RowSelectionState;
  readonly onChange: (chosen: RowSelectionState) => void;
  readonly isChoosable: (row: Row) => boolean;
  /** What a row's box is called. */
  readonly name: (row: Row) => string;
}

interface DataTableProps<Row extends RowData> {
  caption: string;
  columns: readonly DataColumn<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  selection?: Selection<Row>;
  /** The rows are those of the page before, until those of this one come. */
  isStale?: boolean;
}

/** One page of a long list. The server filters and pages; what is chosen on the page is chosen here. */
export function DataTable<Row extends RowData>({
  caption,
  columns,
  rows,
  rowKey,
  selection,
  isStale = false,
}: DataTableProps<Row>) {
  const definitions = useMemo(() => {
    const helper = createColumnHelper<Features, Row>();
    return helper.columns(
      columns.map(({ id, header, cell }) =>
        helper.display({ id, header, cell: ({ row }) => cell(row.original) }),
      ),
    );
  }, [columns]);
  const table = useTable({
    features,
    columns: definitions,
    data: rows,
    getRowId: rowKey,
    enableRowSelection: ({ original }) => selection?.isChoosable(original) ?? false,
    state: { rowSelection: selection?.chosen ?? {} },
    onRowSelectionChange: (update) => {
      const next = typeof update === 'function' ? update(selection?.chosen ?? {}) : update;
      selection?.onChange(next);
    },
  });
  const look = (column: Column<Features, Row>) => columns.find(({ id }) => id === column.id);
  return (
    <div className="table-scroll">
      <table className="table" data-stacks data-fresh={!isStale} aria-busy={isStale}>
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {selection && (
                <th scope="col">
                  <input
                    type="checkbox"
                    className="check"
                    aria-label="Choose all on this page"
                    checked={table.getIsAllRowsSelected()}
                    disabled={!rows.some(selection.isChoosable)}
                    onChange={table.getToggleAllRowsSelectedHandler()}
                  />
                </th>
              )}
              {group.headers.map((header) => (
                <th key={header.id} scope="col" data-align={look(header.column)?.align}>
                  <span className={look(header.column)?.isSilent ? 'visually-hidden' : undefined}>
                    <table.FlexRender header={header} />
                  </span>
                </th>
              ))}
            </tr>
          ))}
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr key={row.id}>
              {selection && (
                <td data-label="Choose">
                  <input
                    type="checkbox"
                    className="check"
                    aria-label={`Choose ${selection.name(row.original)}`}
                    checked={row.getIsSelected()}
                    disabled={!row.getCanSelect()}
                    onChange={row.getToggleSelectedHandler()}
                  />
                </td>
              )}
              {row.getAllCells().map((cell) => {
                const column = look(cell.column);
                return (
                  <td
                    key={cell.id}
                    data-align={column?.align}
                    data-label={column?.isSilent ? undefined : column?.header}
                  >
                    <table.FlexRender cell={cell} />
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
