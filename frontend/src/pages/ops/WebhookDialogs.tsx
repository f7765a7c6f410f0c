/** What is asked before something is done to a receiver, and the secret that is shown once. */

import { type ReactNode, useId, useState } from 'react';

import { Button } from '../../components/Button';
import { Modal } from '../../components/Dialog';
import { TextField } from '../../components/Field';
import { problemLine } from '../../lib/problemWords';
import { fromField, toField } from './filters';
import type { Endpoint, EventType } from './shapes';
import {
  type Again,
  changes,
  type EndpointForm,
  EVENT_TYPES,
  EVENTS,
  useChangeEndpoint,
  useCreateEndpoint,
  useReplayWebhooks,
  useRotateSecret,
} from './webhooks';

/** Why it was refused, above the buttons. A dialog lies above whatever else is told. */
export function Refusal({ error }: { error: unknown }) {
  return (
    <div role="alert">
      {error !== null && error !== undefined && (
        <p className="notice" data-tone="bad">
          {problemLine(error)}
        </p>
      )}
    </div>
  );
}

function ReasonField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  return (
    <TextField
      label="Reason (optional)"
      help="It stands in the audit log beside your name."
      maxLength={500}
      value={value}
      onChange={onChange}
    />
  );
}

interface FieldsProps {
  form: EndpointForm;
  onChange: (form: EndpointForm) => void;
}

function EndpointFields({ form, onChange }: FieldsProps) {
  const id = useId();
  const choose = (event: EventType, isChosen: boolean) => {
    const events = EVENT_TYPES.filter((each) => (each === event ? isChosen : form.events.includes(each)));
    onChange({ ...form, events });
  };
  return (
    <>
      <TextField
        label="Address"
        help="It has to be https, and nothing inside your own network."
        placeholder="https://receiver.example/hooks/evergrant"
        isRequired
        inputMode="url"
        autoComplete="off"
        value={form.url}
        onChange={(url) => {
          onChange({ ...form, url });
        }}
      />
      <TextField
        label="What it is for (optional)"
        maxLength={200}
        value={form.description}
        onChange={(description) => {
          onChange({ ...form, description });
        }}
      />
      <fieldset className="choices">
        <legend>What it is told</legend>
        <p className="field-help">Choose none, and it is told everything.</p>
        {EVENT_TYPES.map((event) => (
          <div key={event} className="choice">
            <input
              id={`${id}-${event}`}
              type="checkbox"
              className="check"
              aria-describedby={`${id}-${event}-help`}
              checked={form.events.includes(event)}
              onChange={({ target }) => {
                choose(event, target.checked);
              }}
            />
            <label htmlFor={`${id}-${event}`}>
              {EVENTS[event].label} <code>{event}</code>
            </label>
            <span id={`${id}-${event}-help`} className="small">
              {EVENTS[event].meaning}
            </span>
          </div>
        ))}
      </fieldset>
    </>
  );
}

const trimmed = ({ url, description, events }: EndpointForm): EndpointForm => ({
  url: url.trim(),
  description: description.trim(),
  events,
});

/** Makes a receiver, and shows its secret. */
export function CreateDialog({ onClose }: { onClose: () => void }) {
  const create = useCreateEndpoint();
  const [form, change] = useState<EndpointForm>({ url: '', description: '', events: [] });
  const [reason, setReason] = useState('');
  const made = create.data;
  if (made) return <SecretDialog title="The webhook is made" secret={made.secret} onClose={onClose} />;
  return (
    <Modal
      isOpen
      isWide
      title="New webhook"
      onClose={onClose}
      actions={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button
            variant="primary"
            isPending={create.isPending}
            isDisabled={form.url.trim() === ''}
            onPress={() => {
              create.mutate({ ...trimmed(form), reason: reason.trim() });
            }}
          >
            Make it
          </Button>
        </>
      }
    >
      <p>Whoever listens there is told what happens, signed, from now on.</p>
      <EndpointFields form={form} onChange={change} />
      <ReasonField value={reason} onChange={setReason} />
      <Refusal error={create.error} />
    </Modal>
  );
}

/** Changes what a receiver is. */
export function ChangeDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const alter = useChangeEndpoint(endpoint.id);
  // What was there when it was opened is what the changes are measured by.
  const [before] = useState(endpoint);
  const [form, change] = useState<EndpointForm>(before);
  const [reason, setReason] = useState('');
  const found = changes(before, trimmed(form));
  return (
    <Modal
      isOpen
      isWide
      title="Change this webhook"
      onClose={onClose}
      actions={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button
            variant="primary"
            isPending={alter.isPending}
            isDisabled={found === undefined || form.url.trim() === ''}
            onPress={() => {
              alter.mutate({ ...found, reason: reason.trim() }, { onSuccess: onClose });
            }}
          >
            Change it
          </Button>
        </>
      }
    >
      <EndpointFields form={form} onChange={change} />
      <ReasonField value={reason} onChange={setReason} />
      <Refusal error={alter.error} />
    </Modal>
  );
}

/** A new secret beside the former one. */
export function RotateDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const rotate = useRotateSecret(id);
  const [reason, setReason] = useState('');
  if (rotate.data) {
    return (
      <SecretDialog title="The new secret" secret={rotate.data.secret} onClose={onClose}>
        <p>The former secret signs beside it for 24 hours: give the receiver this one before then.</p>
      </SecretDialog>
    );
  }
  return (
    <AskDialog
      title="Make a new secret?"
      confirm="New secret"
      isPending={rotate.isPending}
      error={rotate.error}
      reason={reason}
      onReason={setReason}
      onConfirm={() => {
        rotate.mutate(reason.trim());
      }}
      onClose={onClose}
    >
      <p>
        For 24 hours messages carry two signatures, one by each secret, so that the receiver can be changed
        without missing any.
      </p>
    </AskDialog>
  );
}

/** Enables or disables it. */
export function EnableDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const alter = useChangeEndpoint(endpoint.id);
  const [reason, setReason] = useState('');
  // The answer changes what the endpoint is; what was asked stays.
  const [enabled] = useState(endpoint.state === 'disabled');
  return (
    <AskDialog
      title={enabled ? 'Enable this webhook?' : 'Disable this webhook?'}
      confirm={enabled ? 'Enable' : 'Disable'}
      isDangerous={!enabled}
      isPending={alter.isPending}
      error={alter.error}
      reason={reason}
      onReason={setReason}
      onConfirm={() => {
        alter.mutate({ enabled, reason: reason.trim() }, { onSuccess: onClose });
      }}
      onClose={onClose}
    >
      <p>
        {enabled
          ? 'It is told what happens from now on, and its failures are forgotten. What it missed is had by a replay.'
          : 'It is told nothing until it is enabled again, and what is on its way is given up. That can be replayed later.'}
      </p>
    </AskDialog>
  );
}

interface ReplayDialogProps {
  endpoint: Endpoint;
  /** One message; otherwise all that was missed since a time. */
  message?: string | undefined;
  onClose: () => void;
  onDone: (replayed: number) => void;
}

const DAY_MS = 24 * 3600 * 1000;

/** Sends again what a receiver has missed. */
export function ReplayDialog({ endpoint, message, onClose, onDone }: ReplayDialogProps) {
  const replay = useReplayWebhooks(endpoint.id);
  const [reason, setReason] = useState('');
  const [field, setField] = useState(() =>
    toField(endpoint.failing_since ?? new Date(Date.now() - DAY_MS).toISOString()),
  );
  const id = useId();
  const since = fromField(field);
  const again: Again | undefined =
    message !== undefined ? { message } : since === undefined ? undefined : { since };
  return (
    <AskDialog
      title={message === undefined ? 'Replay what it missed?' : 'Send this message again?'}
      confirm="Replay"
      isPending={replay.isPending}
      isDisabled={again === undefined}
      error={replay.error}
      reason={reason}
      onReason={setReason}
      onConfirm={() => {
        if (again === undefined) return;
        const onSuccess = ({ replayed }: { replayed: number }) => {
          onDone(replayed);
          onClose();
        };
        replay.mutate({ again, reason: reason.trim() }, { onSuccess });
      }}
      onClose={onClose}
    >
      {message === undefined ? (
        <>
          <p>Every message that it has not taken since then is sent again under its own id.</p>
          <div className="field">
            <label htmlFor={id}>Since</label>
            <input
              id={id}
              className="input"
              type="datetime-local"
              required
              value={field}
              onChange={({ target }) => {
                setField(target.value);
              }}
            />
          </div>
        </>
      ) : (
        <p>
          It is sent under the same id, so that a receiver which has dealt with it already knows it again.
        </p>
      )}
    </AskDialog>
  );
}

interface AskDialogProps {
  title: string;
  confirm: string;
  children: ReactNode;
  isDangerous?: boolean;
  isDisabled?: boolean;
  isPending: boolean;
  error: unknown;
  reason?: string;
  /** Absent: no reason is asked for. */
  onReason?: (reason: string) => void;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks before it is done, and says in place why it was refused. */
export function AskDialog({
  title,
  confirm,
  children,
  isDangerous = false,
  isDisabled = false,
  isPending,
  error,
  reason = '',
  onReason,
  onConfirm,
  onClose,
}: AskDialogProps) {
  return (
    <Modal
      isOpen
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button
            variant={isDangerous ? 'danger' : 'primary'}
            isPending={isPending}
            isDisabled={isDisabled}
            onPress={onConfirm}
          >
            {confirm}
          </Button>
        </>
      }
    >
      {children}
      {onReason && <ReasonField value={reason} onChange={onReason} />}
      <Refusal error={error} />
    </Modal>
  );
}

interface SecretDialogProps {
  title: string;
  secret: string;
  children?: ReactNode;
  onClose: () => void;
}

/** A secret, once. It is nowhere but in this dialog. */
export function SecretDialog({ title, secret, children, onClose }: SecretDialogProps) {
  const id = useId();
  const [told, tell] = useState('');
  const copy = () => {
    // Missing on pages that are not served securely.
    const clipboard = (navigator as Partial<Navigator>).clipboard;
    const copied = clipboard?.writeText(secret) ?? Promise.reject(new Error('There is no clipboard.'));
    copied.then(
      () => {
        tell('Copied.');
      },
      () => {
        tell('The browser does not allow copying: choose the text and copy it by hand.');
      },
    );
  };
  return (
    <Modal
      isOpen
      isWide
      title={title}
      onClose={onClose}
      actions={
        <Button variant="primary" onPress={onClose}>
          I have kept it
        </Button>
      }
    >
      <p>
        The receiver verifies messages with this secret. <strong>It is shown now and never again</strong>: put
        it where the receiver keeps its secrets.
      </p>
      {children}
      <div className="field">
        <label htmlFor={id}>Secret</label>
        <div className="secret">
          <input
            id={id}
            className="input"
            readOnly
            spellCheck={false}
            value={secret}
            onFocus={({ target }) => {
              target.select();
            }}
          />
          <Button icon="copy" onPress={copy}>
            Copy
          </Button>
        </div>
        <p className="field-help" role="status">
          {told}
        </p>
      </div>
    </Modal>
  );
}
