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
const LONGEST_PAUSE_MS = 60_000;
/** A connection that held for this long was good: the next pause is the first one again. */
const STABLE_MS = 30_000;
/** Not every server says that its list changed, and a stream of such news may break unseen. */
const LOOK_AGAIN_MS = 300_000;
const GOODBYE_MS = 1_000;

export interface McpConnection {
  /** Connects where that is needed. Rejects when the attempt fails, or with the signal's reason. */
  ready(signal?: AbortSignal): Promise<McpClient>;
  /** This client's connection is of no use any more. */
  lost(client: McpClient, why: string): void;
  /** null = connected. */
  problem(): string | null;
  close(): Promise<void>;
}

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
  signal.throwIfAborted();
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

export const mcpConnection = (deps: ConnectionDeps): McpConnection => {
  const { name, options, sdk, log } = deps;
  const isHttp = options.url !== undefined;
  /** A stdio server is started twice to find its protocol out, so only one that refuses the usual handshake is. */
  let negotiates = isHttp;
  let open: Open | null = null;
  /** What is open or about to be, to be ended by `close`. */
  const held = new Set<Open>();
  let connecting: Promise<McpClient> | null = null;
  let why: string | null = 'it was not connected yet';
  let failures = 0;
  let failedAt = -Infinity;
  let retry: NodeJS.Timeout | undefined;
  let closed = false;

  const end = async (ended: Open): Promise<void> => {
    held.delete(ended);
    const { transport } = ended.client;
    if (transport instanceof sdk.StreamableHTTPClientTransport && transport.sessionId !== undefined)
      await settledWithin(transport.terminateSession(), GOODBYE_MS);
    await ended.client.close().catch(nothing);
    await ended.wire.dispose();
  };

  const readTools = async (client: McpClient): Promise<void> => {
    const { tools } = await client.listTools(undefined, { timeout: LIST_MS, cacheMode: 'refresh' });
    deps.onTools(tools);
  };

  const readAgain = async (client: McpClient): Promise<void> => {
    if (open?.client !== client) return;
    try {
      await readTools(client);
    } catch (error) {
      lost(client, whyNotConnected(error, sdk));
    }
  };

  const makeClient = (): McpClient => {
    const client = new sdk.Client(CLIENT, {
      versionNegotiation: { mode: negotiates ? 'auto' : 'legacy' },
      listMaxPages: MCP_LIMITS.pages,
      listChanged: { tools: { autoRefresh: false, onChanged: () => void readAgain(client) } },
    });
    client.onerror = (error) => log.debug({ server: name, error }, 'MCP client reports an error');
    client.onclose = () => lost(client, 'its connection closed');
    return client;
  };

  const attempt = async (): Promise<Open> => {
    const made: Open = { client: makeClient(), wire: openWire(deps), since: Date.now() };
    held.add(made);
    try {
      await made.client.connect(made.wire.transport, { timeout: CONNECT_MS[isHttp ? 'http' : 'stdio'] });
      await readTools(made.client);
      return made;
    } catch (error) {
      await end(made);
      if (negotiates || !(error instanceof sdk.ProtocolError) || closed) throw error;
      negotiates = true;
      return await attempt();
    }
  };

  const schedule = (): void => {
    clearTimeout(retry);
    if (closed) return;
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1));
    retry = setTimeout(() => void begin().catch(nothing), pause);
  };

  const begin = (): Promise<McpClient> => {
    clearTimeout(retry);
    connecting ??= attempt()
      .then(
        (made) => {
          if (closed) {
            void end(made);
            throw notConnected();
          }
          open = made;
          why = null;
          retry = setTimeout(() => void lookAgain(made.client), LOOK_AGAIN_MS);
          log.info({ server: name }, 'MCP server connected');
          return made.client;
        },
        (error: unknown) => {
          why = whyNotConnected(error, sdk);
          failures += 1;
          failedAt = Date.now();
          log.warn({ server: name, reason: why, attempt: failures }, 'MCP server is not connected');
          schedule();
          throw notConnected();
        },
      )
      .finally(() => {
        connecting = null;
      });
    return connecting;
  };

  const lookAgain = async (client: McpClient): Promise<void> => {
    await readAgain(client);
    if (open?.client === client) retry = setTimeout(() => void lookAgain(client), LOOK_AGAIN_MS);
  };

  const notConnected = (): Error =>
    new Error(
      `MCP server ${quote(name)} is not connected: ${why ?? 'the worker ends'}. The call was not sent.`,
    );

  const lost = (client: McpClient, reason: string): void => {
    if (open?.client !== client) return;
    const ended = open;
    open = null;
    why = reason;
    failures = Date.now() - ended.since > STABLE_MS ? 1 : failures + 1;
    log.warn({ server: name, reason }, 'MCP server lost');
    void end(ended);
    schedule();
  };

  return {
    ready: async (signal) => {
      if (open !== null) return open.client;
      if (closed || (connecting === null && Date.now() - failedAt < FIRST_PAUSE_MS)) throw notConnected();
      return await abortable(begin(), signal);
    },
    lost,
    problem: () => why,
    close: async () => {
      closed = true;
      clearTimeout(retry);
      open = null;
      await Promise.all([...held].map(end));
    },
  };
};
