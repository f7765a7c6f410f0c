/** Somebody who is told by webhooks: it verifies what comes as receivers do, with the library of the specification. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Webhook } from 'standardwebhooks';

export interface Heard {
  readonly id: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export class Receiver {
  readonly heard: Heard[] = [];
  /** What it answers with. */
  status = 204;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const headers: Record<string, string> = {};
        for (const [name, value] of Object.entries(request.headers)) {
          if (typeof value === 'string') headers[name] = value;
        }
        this.heard.push({
          id: headers['webhook-id'] ?? '',
          body: Buffer.concat(parts).toString('utf8'),
          headers,
        });
        response.writeHead(this.status).end(this.status < 300 ? '' : 'the receiver is being mended');
      });
    });
  }

  static async listen(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/hooks/evergrant`;
  }

  /** The messages of a type, each verified with the secret. */
  verified(secret: string, type: string): Heard[] {
    const webhook = new Webhook(secret);
    return this.heard.filter(({ body, headers }) => {
      const event = webhook.verify(body, headers) as { type: string };
      return event.type === type;
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
