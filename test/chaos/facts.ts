/**
 * Collects what an auditor needs to know of runs on the sandbox's runs API.
 *
 * Rule: read from the server's own records and request log, never from the code under test.
 */
import { DEFAULT_TENANT } from '../../api/auth.ts';
import { METADATA } from '../../protocol/temporal/names.ts';
import { isTerminal, type Run, type RunStep } from '../../protocol/wire/objects.ts';
import type { RunResult } from '../../protocol/temporal/messages.ts';
import type { Sandbox } from '../../testing/index.ts';
import type { Ack, CallFact, RunFacts, ServerRun, SubmitFact } from './audit.ts';
import type { LedgerEntry } from './ledger.ts';
import type { OpenCall } from './person.ts';
import type { Story } from './script.ts';

const caller = {
  tenant: DEFAULT_TENANT,
  requestId: 'audit',
  isRetry: false,
  idempotencyKey: null,
  verified: false,
  groups: [],
};

const callsOf = (step: RunStep): CallFact[] =>
  step.step_details.type === 'tool_calls'
    ? step.step_details.tool_calls.map(({ id, function: { name, output } }) => ({ id, name, output }))
    : [];

/** Times that a run left `requires_action` because its outputs were there. */
const acceptedRounds = (history: readonly Run[]): number =>
  history.filter(
    (run, at) =>
      history[at - 1]?.status === 'requires_action' &&
      (run.status === 'queued' || run.status === 'in_progress'),
  ).length;

const endOf = (run: Run): number | null => {
  if (!isTerminal(run.status)) return null;
  const seconds = run.completed_at ?? run.cancelled_at ?? run.failed_at ?? run.expires_at;
  // Whole seconds: up to one later than they say.
  return seconds === null ? null : (seconds + 1) * 1000;
};

const serverRun = async (sandbox: Sandbox, run: Run): Promise<ServerRun> => {
  const steps = await sandbox.engine.listSteps(caller, run.thread_id, run.id, { limit: 100, order: 'asc' });
  return {
    id: run.id,
    status: run.status,
    rounds: steps.data.map(callsOf).filter((calls) => calls.length > 0),
    accepted: acceptedRounds(sandbox.engine.history(run.id)),
    endedAt: endOf(run),
  };
};

const submitOf = (body: unknown): SubmitFact['outputs'] => {
  const { tool_outputs: outputs = [] } = (body ?? {}) as {
    tool_outputs?: { tool_call_id: string; output: string }[];
  };
  return outputs.map(({ tool_call_id: id, output }) => ({ id, output }));
};

export interface Watched {
  runId: string;
  story: Story;
  mayEnd: readonly string[];
  result: RunResult | null;
  acks: Ack[];
}

/** The token that a create carried. */
const tokenOf = (body: unknown): string | undefined =>
  (body as { metadata?: Record<string, string> } | null)?.metadata?.[METADATA.token];

/** `skewMs`: how far the sandbox's clock is ahead of ours. */
export const factsOf = async (
  sandbox: Sandbox,
  ledger: readonly LedgerEntry[],
  watched: Watched,
  faults: number,
  skewMs = 0,
): Promise<RunFacts> => {
  const { runId } = watched;
  const runs = sandbox.engine.runs().filter(({ metadata }) => metadata[METADATA.token] === runId);
  const serverRuns = await Promise.all(runs.map((run) => serverRun(sandbox, run)));
  const ids = new Set(runs.map(({ id }) => id));
  return {
    ...watched,
    serverRuns: serverRuns.map((run) => ({
      ...run,
      endedAt: run.endedAt === null ? null : run.endedAt - skewMs,
    })),
    submits: sandbox.requests
      .filter(({ path }) => path.endsWith('/submit_tool_outputs') && ids.has(path.split('/').at(-2) ?? ''))
      .map(({ body, status }) => ({ outputs: submitOf(body), status })),
    creates: sandbox.requests.filter(
      ({ method, path, body }) => method === 'POST' && path.endsWith('/runs') && tokenOf(body) === runId,
    ).length,
    tools: ledger.flatMap((entry) =>
      entry.kind === 'tool' && entry.key.startsWith(`${runId}:`)
        ? [{ at: entry.at, phase: entry.phase, tool: entry.tool, key: entry.key }]
        : [],
    ),
    duplicates: ledger.flatMap((entry) => (entry.kind === 'duplicate' ? [entry.backendRunId] : [])),
    faults,
  };
};

/** Calls that wait for a person, as the server shows them. */
export const openCalls = (sandbox: Sandbox, runIds: ReadonlySet<string>): OpenCall[] =>
  sandbox.engine.runs().flatMap((run) => {
    const runId = run.metadata[METADATA.token];
    if (run.required_action === null || runId === undefined || !runIds.has(runId)) return [];
    return run.required_action.submit_tool_outputs.tool_calls.flatMap(({ id, function: { name } }) =>
      name === 'ask' || name === 'approve' ? [{ runId, callId: id, name }] : [],
    );
  });
