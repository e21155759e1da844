/**
 * The wire to an MCP server: a child process, or streamable HTTP.
 *
 * Rule: what a server sends is bounded, its stderr is logged at debug without configured secrets, and our time limits are
 * the only ones: undici's own would end a call of more than five minutes.
 * Imported within `worker/mcp/`.
 */
import { Agent, fetch as undiciFetch } from 'undici';
import type { McpHeaders, McpServerOptions } from '../../activities/index.ts';
import { MCP_LIMITS, type Logger } from '../../protocol/index.ts';
import type { McpSdk, McpTransport } from './load-sdk.ts';
import type { Secrets } from './secrets.ts';

export interface WireDeps {
  name: string;
  options: McpServerOptions;
  sdk: McpSdk;
  secrets: Secrets;
  log: Logger;
}

type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

const MINUTE_MS = 60_000;
const MAX_LINE = 4_096;

/** Logs a server's stderr line by line; past the limit of a minute it counts only. */
const logLines = ({ name, log, secrets }: WireDeps): ((chunk: Buffer) => void) => {
  let rest = '';
  let minute = 0;
  let lines = 0;
  const say = (line: string): void => {
    const now = Math.floor(Date.now() / MINUTE_MS);
    if (now !== minute) {
      minute = now;
      lines = 0;
    }
    lines += 1;
    if (lines === MCP_LIMITS.stderrLines) log.debug({ server: name }, 'more lines of stderr are not logged');
    if (lines < MCP_LIMITS.stderrLines)
      log.debug({ server: name, stderr: secrets.redact(line) }, 'MCP server wrote to stderr');
  };
  return (chunk) => {
    const whole = (rest + chunk.toString('utf8')).split('\n');
    rest = (whole.pop() ?? '').slice(-MAX_LINE);
    for (const line of whole) if (line.trim() !== '') say(line);
  };
};

const defined = (values: McpHeaders): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );

const stdioWire = (deps: WireDeps, command: string): McpTransport => {
  const { args = [], env = {}, cwd } = deps.options;
  const transport = new deps.sdk.StdioClientTransport({
    command,
    args: [...args],
    env: defined(env),
    stderr: 'pipe',
    maxBufferSize: MCP_LIMITS.messageBytes,
    ...(cwd === undefined ? {} : { cwd }),
  });
  transport.stderr?.on('data', logLines(deps));
  return transport;
};

/** Ends a body that is longer than one answer may be. A stream of events is as long as it likes, each event is not. */
const bounded = (body: ReadableStream<Uint8Array>, isEvents: boolean): ReadableStream<Uint8Array> => {
  let size = 0;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        const end = isEvents
          ? Math.max(Buffer.from(chunk).lastIndexOf('\n\n'), Buffer.from(chunk).lastIndexOf('\n\r\n'))
          : -1;
        size = end < 0 ? size + chunk.byteLength : chunk.byteLength - end;
        if (size > MCP_LIMITS.messageBytes)
          controller.error(new Error(`the answer is longer than ${MCP_LIMITS.messageBytes} bytes`));
        else controller.enqueue(chunk);
      },
    }),
  );
};

const limited = (response: Response): Response => {
  const { body, status, statusText, headers } = response;
  if (body === null) return response;
  const isEvents = headers.get('content-type')?.startsWith('text/event-stream') === true;
  return new Response(bounded(body, isEvents), { status, statusText, headers });
};

/** One for all servers: it holds their sockets, and ends with the process. */
const makeFetch = ({ options: { headers = {} }, secrets }: WireDeps, agent: Agent): Fetch => {
  const own = async (): Promise<McpHeaders> => {
    if (typeof headers !== 'function') return headers;
    const made = await headers();
    secrets.add(made);
    return made;
  };
  return async (url, init = {}) => {
    const sent = new Headers(init.headers);
    for (const [name, value] of Object.entries(defined(await own()))) sent.set(name, value);
    // The same classes under two sets of types: those of the package, and those of Node.
    const request = { ...init, headers: [...sent], dispatcher: agent } as Parameters<typeof undiciFetch>[1];
    const response: unknown = await undiciFetch(String(url), request);
    return limited(response as Response);
  };
};

export interface Wire {
  transport: McpTransport;
  /** Frees what the transport itself does not. */
  dispose(): Promise<void>;
}

export const openWire = (deps: WireDeps): Wire => {
  const { command, url = '' } = deps.options;
  if (command !== undefined) return { transport: stdioWire(deps, command), dispose: () => Promise.resolve() };
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 10_000 } });
  return {
    transport: new deps.sdk.StreamableHTTPClientTransport(new URL(url), { fetch: makeFetch(deps, agent) }),
    dispose: () => agent.destroy(),
  };
};
