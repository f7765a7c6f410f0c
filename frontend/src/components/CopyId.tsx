import { Icon } from './Icon';
import { toasts } from './toasts';

/** An id, shortened, that is copied whole when pressed. */
export function CopyId({ id, name = 'id', whole = false }: { id: string; name?: string; whole?: boolean }) {
  const copy = () => {
    // Missing on pages that are not served securely.
    const clipboard = (navigator as Partial<Navigator>).clipboard;
    const copied = clipboard?.writeText(id) ?? Promise.reject(new Error('There is no clipboard.'));
    copied.then(
      () => {
        toasts.show('good', `Copied the ${name}.`);
      },
      () => {
        toasts.show('warn', `The browser does not allow copying. The ${name} is ${id}`);
      },
    );
  };
  const shown = whole || id.length <= 13 ? id : `${id.slice(0, 8)}…${id.slice(-4)}`;
  return (
    <button type="button" className="copy-id" title={id} onClick={copy}>
      <span className="visually-hidden">Copy the {name} </span>
      <span className="truncate">{shown}</span>
      <Icon name="copy" size={14} />
    </button>
  );
}
