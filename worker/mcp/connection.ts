/**
 * The connection to one MCP server: made when it is needed, made again after it broke.
 *
 * Rule: a server that is away never stops the worker. One attempt to connect runs at a time, the pauses between them grow,
 * and a caller that waits hears of the end of the attempt under way.
 * Imported within `worker/mcp/`.
 */
import { MCP_LIMITS, quote } from '../../protocol/index.ts';
import { whyNotConnected } from './failures.ts';
import type { McpClient, McpTool } from './load-sdk.ts';
import { openWire, type Wire, type WireDeps } from './transport.ts';

/** `npx` may have to download a stdio server first. Milliseconds. */
const CONNECT_MS = { stdio: 60_000, http: 10_000 } as const;
const LIST_MS = 20_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;
/** A connection that held for this long was good: the next pause is the first one again. */
const STABLE_MS = 30_000;
/** Not every server says that its list changed, and a stream of such news may break unseen. */
const LIST_REFRESH_MS = 300_000;
const CLOSE_TIMEOUT_MS = 1_000;

export interface ConnectionDeps extends WireDeps {
  /** Called with the server's list, at first and whenever it was read again. */
  onTools(tools: readonly McpTool[]): void;
}

/** Servers may log it; nothing depends on it. */
const CLIENT = { name: 'durable-runs', version: '1' } as const;

const nothing = (): void => undefined;

/** Waits for the end of `work`, good or bad, but no longer than this. */
export const settledWithin = async (work: Promise<unknown>, ms: number): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.then(nothing, nothing), late]);
  clearTimeout(timer);
};

const abortable = async <T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (signal === undefined) return await work;
  return await new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
};

interface Open {
  client: McpClient;
  wire: Wire;
  since: number;
}

export class McpConnection {
  readonly #deps: ConnectionDeps;
  readonly #isHttp: boolean;
  /** A stdio server is started twice to find its protocol out, so only one that refuses the usual handshake is. */
  #negotiates: boolean;
  #open: Open | null = null;
  /** What is open or about to be, to be ended by `close`. */
  readonly #held = new Set<Open>();
  #connecting: Promise<McpClient> | null = null;
  #why: string | null = 'it was not connected yet';
  #failures = 0;
  #failedAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #checking = false;

  constructor(deps: ConnectionDeps) {
    this.#deps = deps;
    this.#isHttp = deps.options.url !== undefined;
    this.#negotiates = this.#isHttp;
  }

  /** Why there is no connection; null = there is one. */
  problem(): string | null {
    return this.#why;
  }

  /** Connects where that is needed. Rejects when the attempt fails, or with the signal's reason. */
  async ready(signal?: AbortSignal): Promise<McpClient> {
    if (this.#open !== null) return this.#open.client;
    const tooSoon = this.#connecting === null && Date.now() - this.#failedAt < FIRST_PAUSE_MS;
    if (this.#closed || tooSoon) throw this.#notConnected();
    signal?.throwIfAborted();
    return await abortable(this.#begin(), signal);
  }

  /** This client's connection is of no use any more. */
  lost(client: McpClient, reason: string): void {
    const open = this.#open;
    if (open?.client !== client) return;
    this.#open = null;
    this.#why = reason;
    this.#failures = Date.now() - open.since > STABLE_MS ? 1 : this.#failures + 1;
    this.#deps.log.warn({ server: this.#deps.name, reason }, 'MCP server disconnected');
    void this.#end(open);
    this.#schedule();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#why = 'its worker is shutting down';
    clearTimeout(this.#timer);
    this.#open = null;
    await Promise.all([...this.#held].map((open) => this.#end(open)));
  }

  #notConnected(): Error {
    return new Error(
      `MCP server ${quote(this.#deps.name)} is not connected: ${this.#why ?? 'its worker is shutting down'}. The call was not sent.`,
    );
  }

  #begin(): Promise<McpClient> {
    clearTimeout(this.#timer);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #connect(): Promise<McpClient> {
    const { log, name, sdk } = this.#deps;
    let made: Open;
    try {
      made = await this.#attempt();
    } catch (error) {
      this.#why = whyNotConnected(error, sdk);
      this.#failures += 1;
      this.#failedAt = Date.now();
      log.warn({ server: name, reason: this.#why, attempt: this.#failures }, 'MCP server is not connected');
      this.#schedule();
      throw this.#notConnected();
    }
    if (this.#closed) {
      await this.#end(made);
      throw this.#notConnected();
    }
    this.#open = made;
    this.#why = null;
    this.#lookLater(made.client);
    log.info({ server: name }, 'MCP server connected');
    return made.client;
  }

  async #attempt(): Promise<Open> {
    const { sdk } = this.#deps;
    const made: Open = { client: this.#makeClient(), wire: openWire(this.#deps), since: Date.now() };
    this.#held.add(made);
    try {
      const timeout = CONNECT_MS[this.#isHttp ? 'http' : 'stdio'];
      await made.client.connect(made.wire.transport, { timeout });
      await this.#readTools(made.client);
      return made;
    } catch (error) {
      await this.#end(made);
      if (this.#negotiates || !(error instanceof sdk.ProtocolError) || this.#closed) throw error;
      this.#negotiates = true;
      return await this.#attempt();
    }
  }

  #makeClient(): McpClient {
    const { sdk, log, name } = this.#deps;
    const client = new sdk.Client(CLIENT, {
      versionNegotiation: { mode: this.#negotiates ? 'auto' : 'legacy' },
      listMaxPages: MCP_LIMITS.pages,
      listChanged: { tools: { autoRefresh: false, onChanged: () => void this.#readAgain(client) } },
    });
    return Object.assign(client, {
      onerror: (error: Error) => {
        log.debug({ server: name, error }, 'MCP client reports an error');
        if (this.#isHttp) void this.#checkUp(client);
      },
      onclose: () => this.lost(client, 'its connection closed'),
    });
  }

  async #readTools(client: McpClient): Promise<void> {
    const { tools } = await client.listTools(undefined, { timeout: LIST_MS, cacheMode: 'refresh' });
    this.#deps.onTools(tools);
  }

  async #readAgain(client: McpClient): Promise<void> {
    if (this.#open?.client !== client) return;
    try {
      await this.#readTools(client);
    } catch (error) {
      this.lost(client, whyNotConnected(error, this.#deps.sdk));
    }
  }

  /** A stream that broke may leave its calls waiting: when the server is gone, so is the client, and its calls end. */
  async #checkUp(client: McpClient): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      await this.#readAgain(client);
    } finally {
      this.#checking = false;
    }
  }

  #lookLater(client: McpClient): void {
    const look = async (): Promise<void> => {
      await this.#readAgain(client);
      if (this.#open?.client === client) this.#lookLater(client);
    };
    this.#timer = setTimeout(() => void look(), LIST_REFRESH_MS);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const pause = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, this.#failures - 1));
    this.#timer = setTimeout(() => void this.#begin().catch(nothing), pause);
  }

  async #end(open: Open): Promise<void> {
    this.#held.delete(open);
    const { transport } = open.client;
    const { StreamableHTTPClientTransport } = this.#deps.sdk;
    if (transport instanceof StreamableHTTPClientTransport && transport.sessionId !== undefined)
      await settledWithin(transport.terminateSession(), CLOSE_TIMEOUT_MS);
    await open.client.close().catch(nothing);
    await open.wire.dispose();
  }
}
