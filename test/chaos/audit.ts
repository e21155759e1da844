/**
 * The oracle of a drill: what was seen of one run, held against what must be true whatever died.
 *
 * Rule: pure; facts in, violations out. Numbers are the invariants of docs/contributing/faults.md. It trusts nobody's word but the
 * server's records, the ledger of effects, and what people were told.
 */
import type { RunResult } from '../../protocol/temporal/messages.ts';
import type { Story } from './script.ts';

export interface CallFact {
  id: string;
  name: string;
  output: string | null;
}

/** A run as the server that executes it has it. */
export interface ServerRun {
  id: string;
  status: string;
  /** Calls of each round, in the model's order. */
  rounds: CallFact[][];
  /** How many times a round was taken as answered. */
  accepted: number;
  /** Unix ms of its end by our clock; null while it lives. */
  endedAt: number | null;
}

/** A request that carried outputs, as the server's log has it. */
export interface SubmitFact {
  outputs: { id: string; output: string }[];
  /** null = the connection broke before an answer. */
  status: number | null;
}

export interface ToolFact {
  at: number;
  phase: 'began' | 'effect' | 'again';
  tool: string;
  key: string;
}

/** A person's answer that was acknowledged. */
export interface Ack {
  callId: string;
  /** The text that must reach the model; null = a decision, whose tool or denial makes the text. */
  output: string | null;
  /** What was said, to tell two answers apart. */
  said: string;
}

export interface RunFacts {
  runId: string;
  story: Story;
  /** Ends that this drill allows. */
  mayEnd: readonly string[];
  /** null = it has not ended. */
  result: RunResult | null;
  /** All that carry its token, in the order of their creation. */
  serverRuns: ServerRun[];
  submits: SubmitFact[];
  /** Requests that asked for a new run. */
  creates: number;
  tools: ToolFact[];
  acks: Ack[];
  /** Server runs that a worker called duplicates. */
  duplicates: string[];
  /** How many faults fell into this run's time. */
  faults: number;
}

export interface Violation {
  invariant: string;
  text: string;
}

const LIVE = ['queued', 'in_progress', 'requires_action', 'cancelling'];
/** A tool may have been on its way when the run ended. */
const LATE_START_MS = 2_000;
/** Attempts that a tool's policy allows. */
const MOST_ATTEMPTS = 20;
/** Requests that one fault may cost: the one it hit, and one that its successor sends. */
export const REQUESTS_PER_FAULT = 2;

const shown = (value: unknown): string => JSON.stringify(value);
const sameIds = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((id, at) => id === b[at]);

export const audit = (facts: RunFacts): Violation[] => {
  const { result } = facts;
  if (result === null)
    return [{ invariant: 'I11', text: `run ${facts.runId} has not ended; ${shown(facts.serverRuns)}` }];
  const main = facts.serverRuns.find(({ id }) => id === result.backendRunId) ?? null;
  const found: Violation[] = [];
  const violated = (invariant: string, text: string): void => {
    found.push({ invariant, text: `run ${facts.runId}: ${text}` });
  };

  if (!facts.mayEnd.includes(result.status))
    violated(
      'I5',
      `ended ${shown(result.status)} (${shown(result.lastError)}), expected ${shown(facts.mayEnd)}`,
    );
  oneRun(facts, main, violated);
  if (main === null) {
    if (result.backendRunId !== null)
      violated('I5', `the result names server run ${result.backendRunId}, which the server does not have`);
    if (facts.tools.length > 0) violated('I4', 'tools ran for a run that the server never had');
    return found;
  }
  if (result.status !== main.status)
    violated('I5', `the result says ${shown(result.status)}, the server ${shown(main.status)}`);
  auditRounds(facts, result, main, violated);
  submits(facts, main, violated);
  auditEffects(facts, result, main, violated);
  auditAnswers(facts, result, main, violated);
  return found;
};

export type Report = (invariant: string, text: string) => void;

/** I1: one run for one token; a second one only as a duplicate that was found, reported and cancelled. */
const oneRun = (
  { serverRuns, duplicates, creates, faults }: RunFacts,
  main: ServerRun | null,
  violated: Report,
): void => {
  for (const run of serverRuns) {
    if (LIVE.includes(run.status)) violated('I1', `server run ${run.id} still lives: ${run.status}`);
    if (run === main) continue;
    if (main !== null && !duplicates.includes(run.id))
      violated('I1', `server run ${run.id} is a second one with the token, and nobody reported it`);
    if (main === null && serverRuns.length > 0 && run.status !== 'cancelled')
      violated('I1', `server run ${run.id} (${run.status}) is not the result's`);
  }
  if (creates > 1 + REQUESTS_PER_FAULT * faults) violated('I9', `${creates} creates after ${faults} faults`);
};

/** I2: the rounds that were told, and all of them when the run completed. */
export const auditRounds = (
  { story }: Pick<RunFacts, 'story'>,
  result: RunResult,
  main: ServerRun,
  violated: Report,
): void => {
  for (const [at, calls] of main.rounds.entries()) {
    const names = calls.map(({ name }) => name);
    const asked = story.rounds[at] ?? [];
    // A worker that died in the middle of its turn may have shown a part of a round that the workflow never learned of.
    const wanted = at < result.rounds ? asked : asked.slice(0, names.length);
    if (!sameIds(names, wanted))
      violated('I2', `round ${at + 1} has calls ${shown(names)}, told ${shown(asked)}`);
  }
  if (main.status !== 'completed') return;
  if (main.rounds.length !== story.rounds.length)
    violated('I2', `completed after ${main.rounds.length} rounds of ${story.rounds.length}`);
  if (result.rounds !== story.rounds.length)
    violated('I5', `the result counts ${result.rounds} rounds of ${story.rounds.length}`);
  if (main.accepted !== story.rounds.length)
    violated('I2', `${main.accepted} accepted submits in ${story.rounds.length} rounds`);
  for (const { id, output } of main.rounds.flat())
    if (output === null) violated('I2', `completed without an output of call ${id}`);
};

/** I2: every request for a round carries that round, whole, in order, and always the same. */
const submits = ({ submits: sent, faults }: RunFacts, main: ServerRun, violated: Report): void => {
  const taken = new Map<number, number>();
  const bodies = new Map<number, string>();
  for (const { outputs, status } of sent) {
    const ids = outputs.map(({ id }) => id);
    const round = main.rounds.findIndex((calls) =>
      sameIds(
        calls.map(({ id }) => id),
        ids,
      ),
    );
    if (round < 0) {
      violated('I2', `a submit carried ${shown(ids)}, which is no round of the run`);
      continue;
    }
    const body = shown(outputs);
    if ((bodies.get(round) ?? body) !== body)
      violated('I2', `round ${round + 1} was submitted in two versions`);
    bodies.set(round, body);
    if (status !== null && status < 300) taken.set(round, (taken.get(round) ?? 0) + 1);
    if (status !== null && status < 300)
      for (const [at, call] of (main.rounds[round] ?? []).entries())
        if (call.output !== outputs[at]?.output)
          violated(
            'I2',
            `call ${call.id}: the server has ${shown(call.output)}, sent was ${shown(outputs[at])}`,
          );
  }
  for (const [round, count] of taken)
    if (count > 1) violated('I2', `round ${round + 1} was accepted ${count} times`);
  const most = main.rounds.length + REQUESTS_PER_FAULT * faults;
  if (sent.length > most) violated('I9', `${sent.length} submits, at most ${most} are explained`);
};

/** I3, I4: what tools did to the world. */
export const auditEffects = (
  { tools, runId }: Pick<RunFacts, 'tools' | 'runId'>,
  result: RunResult,
  main: ServerRun,
  violated: Report,
): void => {
  const calls = new Map(main.rounds.flat().map((call) => [`${runId}:${call.id}`, call]));
  for (const { key, at, tool, phase } of tools) {
    if (!calls.has(key)) violated('I4', `tool ${tool} ran under key ${key}, which is no call of the run`);
    if (phase === 'began' && main.endedAt !== null && at > main.endedAt + LATE_START_MS)
      violated('I3', `tool ${tool} began ${at - main.endedAt} ms after the run had ended`);
  }
  for (const [key, call] of calls) {
    const mine = tools.filter((entry) => entry.key === key);
    const count = (phase: ToolFact['phase']): number => mine.filter((entry) => entry.phase === phase).length;
    const summary = result.calls.find(({ callId }) => callId === call.id);
    if (count('effect') > 1)
      violated('I4', `call ${call.id} (${call.name}) took effect ${count('effect')} times`);
    if (call.name === 'once' && count('began') > 1)
      violated('I4', `at-most-once call ${call.id} began ${count('began')} times`);
    if (count('began') > MOST_ATTEMPTS) violated('I4', `call ${call.id} began ${count('began')} times`);
    if (call.name === 'ask') continue;
    if (summary?.ok === true && count('effect') !== 1)
      violated('I4', `call ${call.id} (${call.name}) is told done and took effect ${count('effect')} times`);
    if (summary?.ok === true && call.output !== null && !call.output.endsWith(`done under ${key}`))
      violated('I4', `call ${call.id}: its output ${shown(call.output)} is not its own`);
    if (
      main.status === 'completed' &&
      call.name !== 'once' &&
      call.name !== 'approve' &&
      summary?.ok !== true
    )
      violated('I4', `call ${call.id} (${call.name}) gave up: ${shown(summary)}, ${shown(call.output)}`);
  }
};

/** I6: who was told that an answer counts was told the truth. */
export const auditAnswers = (
  { acks }: Pick<RunFacts, 'acks'>,
  result: RunResult,
  main: ServerRun,
  violated: Report,
): void => {
  const outputs = new Map(main.rounds.flat().map(({ id, output }) => [id, output]));
  const given = new Map<string, string>();
  for (const { callId, output, said } of acks) {
    const unused = result.unusedAnswers.some((answer) => answer.callId === callId);
    if ((given.get(callId) ?? said) !== said)
      violated('I6', `two different answers to call ${callId} were acknowledged`);
    given.set(callId, said);
    const used = outputs.get(callId) ?? null;
    if (used === null && !unused)
      violated('I6', `the acknowledged answer to call ${callId} is neither used nor reported`);
    if (used !== null && output !== null && used !== output && !unused)
      violated(
        'I6',
        `the acknowledged answer to call ${callId} was ${shown(output)}, used was ${shown(used)}`,
      );
  }
  for (const call of main.rounds.flat())
    if (
      call.name === 'ask' &&
      call.output !== null &&
      main.status === 'completed' &&
      !call.output.startsWith('answer ')
    )
      violated('I6', `call ${call.id} was answered by nobody: ${shown(call.output)}`);
};
