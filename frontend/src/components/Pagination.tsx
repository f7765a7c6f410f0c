import { Button } from './Button';

interface PaginationProps {
  /** What is shown, such as `Showing 1 to 50`. */
  summary: string;
  onPrevious: (() => void) | undefined;
  onNext: (() => void) | undefined;
  isPending?: boolean;
}

/** Steps through pages that have no number: the server knows only what comes after a row. */
export function Pagination({ summary, onPrevious, onNext, isPending = false }: PaginationProps) {
  return (
    <nav className="pagination" aria-label="Pages">
      <span role="status">{summary}</span>
      <div>
        <Button size="sm" icon="chevronLeft" isDisabled={!onPrevious} onPress={() => onPrevious?.()}>
          Previous
        </Button>
        <Button
          size="sm"
          icon="chevronRight"
          className="icon-last"
          isDisabled={!onNext}
          isPending={isPending}
          onPress={() => onNext?.()}
        >
          Next
        </Button>
      </div>
    </nav>
  );
}
