/**
 * Reads `text/event-stream` as the HTML standard has it. An own reader of 60 lines, because the known ones forget an id
 * that comes without data, and ours comes with every heartbeat: it is what keeps a quiet client resumable.
 */

export interface ServerSentEvent {
  /** Its name; `message` if it has none. */
  readonly name: string;
  readonly data: string;
}

/** No event of ours comes near: a stream that is none must not fill the memory. In characters. */
const LONGEST = 1_000_000;

export class EventReader {
  /** The last id that came, with an event or alone. */
  lastId: string | undefined;
  /** How long the server wants clients to stay away after a break, in milliseconds. */
  retry: number | undefined;

  readonly #decoder = new TextDecoder();
  #rest = '';
  #endedOnReturn = false;
  #name = '';
  #data: string[] = [];

  constructor(lastId?: string) {
    this.lastId = lastId;
  }

  /** The events that these bytes complete. */
  feed(bytes: Uint8Array): ServerSentEvent[] {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === '') return [];
    // A line may end with both characters, and they may come apart.
    if (this.#endedOnReturn && text.startsWith('\n')) text = text.slice(1);
    this.#endedOnReturn = text.endsWith('\r');
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? '';
    const length = this.#data.reduce((sum, line) => sum + line.length, this.#rest.length);
    if (length > LONGEST) throw new Error('The event stream is no event stream: its event does not end.');
    return lines.flatMap((line) => this.#line(line) ?? []);
  }

  #line(line: string): ServerSentEvent | undefined {
    if (line === '') return this.#end();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') this.#data.push(value);
    if (field === 'event') this.#name = value;
    if (field === 'id' && !value.includes('\0')) this.lastId = value;
    if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
    return undefined;
  }

  #end(): ServerSentEvent | undefined {
    const [name, data] = [this.#name, this.#data];
    this.#name = '';
    this.#data = [];
    return data.length > 0 ? { name: name || 'message', data: data.join('\n') } : undefined;
  }
}
