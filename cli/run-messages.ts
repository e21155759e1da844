/**
 * The assistant's messages of a run, from the API that keeps its thread: this project's on `chat`, the upstream's on
 * `assistants`.
 *
 * Rule: a run is shown without them too: a failure is a note, not an error. Imported by `show` and `watch`.
 */
import { CliError } from '../app/exit.ts';
import { nonEmpty } from '../app/dev-state.ts';
import type { RunSnapshot } from '../protocol/temporal/messages.ts';
import type { WireUsage } from '../protocol/wire/objects.ts';
import type { CliIo } from './command.ts';
import { connections, type ApiPlace } from './connections.ts';
import { oneLine } from './output/format.ts';
import type { RunMessage } from './output/rounds.ts';

export interface RunMessages {
  messages: RunMessage[];
  /** The usage of each turn that was counted, oldest first. */
  turns: WireUsage[];
  /** The models that spoke, in order; empty = not known. */
  models: string[];
  /** Why there are none; null = the list is complete. */
  note: string | null;
}

const unknown = (why: string): RunMessages => ({
  messages: [],
  turns: [],
  models: [],
  note: `the messages of the assistant can't be shown: ${why}`,
});

/** The address of the upstream, when it has the usual form. */
const upstream = ({ env }: CliIo): ApiPlace | null => {
  const base = nonEmpty(env['OPENAI_BASE_URL'])?.replace(/\/+$/, '');
  return base?.endsWith('/v1') === true
    ? { apiUrl: base.slice(0, -'/v1'.length), apiKey: nonEmpty(env['OPENAI_API_KEY']) }
    : null;
};

export const runMessages = async (io: CliIo, run: RunSnapshot): Promise<RunMessages> => {
  const { backend, backendRunId, threadId } = run;
  if (threadId === null || backendRunId === null) return { messages: [], turns: [], models: [], note: null };
  try {
    const place = backend === 'chat' ? (await connections(io)).api() : upstream(io);
    if (place === null)
      return unknown('the runs server keeps the thread; set OPENAI_BASE_URL to its address, ending in /v1');
    const { ApiClient } = await import('./api-client.ts');
    return { ...(await new ApiClient(place, io.signal).story(threadId, backendRunId)), note: null };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    // A key that approves only may read what waits for it, and no run: that is in order.
    return unknown(
      error.code === 'forbidden'
        ? 'the key may not read them. Use one with the role "caller" or "operator".'
        : oneLine(error.message, 300),
    );
  }
};
