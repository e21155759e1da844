/**
 * Collects the facts for the auditor of the runs server: from its store and from the model server's log.
 *
 * Rule: the store is read through its port, after every process that wrote to it has ended; nothing here knows a table.
 */
import { DEFAULT_TENANT } from '../../../api/auth.ts';
import type { PageQuery } from '../../../protocol/ports/runs-service.ts';
import type { SequencedEvent } from '../../../protocol/wire/events.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Page } from '../../../protocol/wire/objects.ts';
import type { Sandbox } from '../../../testing/index.ts';
import type { ToolFact } from '../audit.ts';
import type { LedgerEntry } from '../ledger.ts';
import type { AskedTurn, NativeFacts, StoredEvent } from './audit.ts';

const PAGE = 100;

const all = async <T extends { id: string }>(page: (query: PageQuery) => Promise<Page<T>>): Promise<T[]> => {
  const found: T[] = [];
  for (;;) {
    const last = found.at(-1)?.id;
    const next = await page({ limit: PAGE, order: 'asc', ...(last === undefined ? {} : { after: last }) });
    found.push(...next.data);
    if (next.data.length < PAGE) return found;
  }
};

const eventOf = (sent: SequencedEvent): StoredEvent => ({
  seq: sent.seq,
  event: sent.event,
  of: 'id' in sent.data ? sent.data.id : '',
  text:
    sent.event === 'thread.message.delta'
      ? sent.data.delta.content.map(({ text }) => text?.value ?? '').join('')
      : '',
});

const eventsOf = async (store: Store, runId: string): Promise<StoredEvent[]> => {
  const found: StoredEvent[] = [];
  for (;;) {
    const { events } = await store.readEvents(runId, {
      after: found.at(-1)?.seq ?? 0,
      limit: 500,
      gaps: 'refuse',
    });
    if (events.length === 0) return found;
    found.push(...events.map(eventOf));
  }
};

interface Told {
  role: string;
  content?: unknown;
  tool_calls?: { id: string }[];
  tool_call_id?: string;
}

/** The requests to the model in whose conversation a user said `tag`. */
export const turnsOf = (sandbox: Sandbox, tag: string): AskedTurn[] =>
  sandbox.requests.flatMap(({ face, body }) => {
    const { messages = [] } = (body ?? {}) as { messages?: Told[] };
    if (face !== 'model' || !messages.some(({ role, content }) => role === 'user' && content === tag))
      return [];
    const outputs = new Map(
      messages.flatMap(({ role, tool_call_id: id, content }) =>
        role === 'tool' && id !== undefined
          ? [[id, typeof content === 'string' ? content : null] as const]
          : [],
      ),
    );
    const rounds = messages.flatMap(({ tool_calls: calls }) =>
      calls === undefined ? [] : [calls.map(({ id }) => ({ id, output: outputs.get(id) ?? null }))],
    );
    return [{ rounds }];
  });

export const toolsOf = (entries: readonly LedgerEntry[], runId: string): ToolFact[] =>
  entries.flatMap((entry) =>
    entry.kind === 'tool' && entry.key.startsWith(`${runId}:`)
      ? [{ at: entry.at, phase: entry.phase, tool: entry.tool, key: entry.key }]
      : [],
  );

export const readStored = async (
  store: Store,
  runId: string,
): Promise<Pick<NativeFacts, 'run' | 'steps' | 'messages' | 'events'>> => {
  const found = await store.findRun(runId);
  if (found === null) return { run: null, steps: [], messages: [], events: [] };
  const { run, tenant } = found;
  return {
    run,
    steps: await all((query) => store.listSteps(tenant, run.thread_id, runId, query)),
    messages: await all((query) => store.listMessages(DEFAULT_TENANT, run.thread_id, query)),
    events: await eventsOf(store, runId),
  };
};
