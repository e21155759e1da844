/**
 * The auditor of a drill on the runs server: compares its store, the model server's log, and the responses that callers
 * got with the invariants.
 *
 * Rule: pure. `../audit.ts` checks tools and people on both backends; this file checks the parts that only the runs
 * server has: events, messages, steps, and requests to the model.
 */
import { isTerminal, type Message, type Run, type RunStep } from '../../../protocol/wire/objects.ts';
import type { RunResult } from '../../../protocol/temporal/messages.ts';
import {
  auditAnswers,
  auditEffects,
  auditRounds,
  REQUESTS_PER_FAULT,
  type Ack,
  type CallFact,
  type Report,
  type ToolFact,
  type Violation,
} from '../audit.ts';
import type { Story } from '../script.ts';
import type { SeenEvent } from './reader.ts';

export interface StoredEvent extends SeenEvent {
  /** Id of the message, step or run. */
  of: string;
  /** Text that a message delta adds; empty elsewhere. */
  text: string;
}

/** One request to the model server about the run. */
export interface AskedTurn {
  /** Rounds it carried, each with all that was said to it. */
  rounds: { id: string; output: string | null }[][];
}

export interface NativeFacts {
  runId: string;
  story: Story;
  mayEnd: readonly string[];
  result: RunResult | null;
  /** null = the store does not have it. */
  run: Run | null;
  /** Oldest first. */
  steps: RunStep[];
  messages: Message[];
  events: StoredEvent[];
  turns: AskedTurn[];
  tools: ToolFact[];
  acks: Ack[];
  /** What somebody who read along saw; null = nobody did. */
  seen: readonly SeenEvent[] | null;
  faults: number;
}

const shown = (value: unknown): string => JSON.stringify(value);

export const auditNative = (facts: NativeFacts): Violation[] => {
  const { result, run } = facts;
  if (run === null)
    return [{ invariant: 'I1', text: `run ${facts.runId} was acknowledged, and the store does not have it` }];
  if (result === null)
    return [{ invariant: 'I11', text: `run ${facts.runId} has not ended; its row says ${run.status}` }];
  const found: Violation[] = [];
  const violated: Report = (invariant, text) => {
    found.push({ invariant, text: `run ${facts.runId}: ${text}` });
  };
  outcome(facts, result, run, violated);
  const main = {
    id: run.id,
    status: run.status,
    rounds: roundsOf(facts.steps),
    accepted: roundsOf(facts.steps).filter((calls) => calls.every(({ output }) => output !== null)).length,
    endedAt: endOf(run),
  };
  auditRounds(facts, result, main, violated);
  auditEffects(facts, result, main, violated);
  auditAnswers(facts, result, main, violated);
  asked(facts, main.rounds, violated);
  objects(facts, violated);
  events(facts, run, violated);
  return found;
};

/** Whole seconds: up to one later than they say. */
const endOf = ({ completed_at, cancelled_at, failed_at }: Run): number | null => {
  const seconds = completed_at ?? cancelled_at ?? failed_at;
  return seconds === null ? null : (seconds + 1) * 1000;
};

/** Calls of each round, without those of turns that were begun again. */
const roundsOf = (steps: readonly RunStep[]): CallFact[][] =>
  steps.flatMap(({ status, step_details: details }) =>
    details.type === 'tool_calls' && status !== 'failed'
      ? [details.tool_calls.map(({ id, function: { name, output } }) => ({ id, name, output }))]
      : [],
  );

/** I5: the row is the result. */
const outcome = ({ mayEnd }: NativeFacts, result: RunResult, run: Run, violated: Report): void => {
  if (!mayEnd.includes(run.status))
    violated('I5', `ended ${shown(run.status)} (${shown(run.last_error)}), expected ${shown(mayEnd)}`);
  if (!isTerminal(run.status)) violated('I5', `the row says ${run.status}, the result ${result.status}`);
  if (result.status !== run.status)
    violated('I5', `the result says ${shown(result.status)}, the row ${shown(run.status)}`);
  if (result.backendRunId !== run.id) violated('I5', `the result names run ${shown(result.backendRunId)}`);
  if (run.required_action !== null) violated('I5', 'it has ended and still asks for something');
  if ((result.usage?.totalTokens ?? null) !== (run.usage?.total_tokens ?? null))
    violated('I5', `the result counts ${shown(result.usage)}, the row ${shown(run.usage)}`);
};

/** I2, I9: each turn is asked with all rounds before it, whole, as the store has them, and not more often than faults explain. */
const asked = ({ turns, story, faults, run }: NativeFacts, rounds: CallFact[][], violated: Report): void => {
  for (const { rounds: carried } of turns) {
    // The ids are those that the model gave its calls; the store's are the wire's. Outputs name the call they are of.
    const told = carried.map((calls) => calls.map(({ output }) => output));
    const kept = rounds.slice(0, carried.length).map((calls) => calls.map(({ output }) => output));
    if (shown(told) !== shown(kept))
      violated('I2', `the model got ${shown(told)}, the store has ${shown(kept)}`);
  }
  for (let turn = 0; turn <= story.rounds.length; turn += 1) {
    const times = turns.filter(({ rounds: carried }) => carried.length === turn).length;
    if (run?.status === 'completed' && times === 0) violated('I2', `turn ${turn + 1} was never asked`);
  }
  const most = story.rounds.length + 1 + REQUESTS_PER_FAULT * faults;
  if (turns.length > most)
    violated('I9', `${turns.length} requests to the model, at most ${most} are explained`);
};

/** Messages and steps: one word of the model at the end, one step for each round, nothing left open. */
const objects = (
  { steps, messages, run, story, faults, events: log }: NativeFacts,
  violated: Report,
): void => {
  const said = messages.filter(({ run_id: id }) => id === run?.id);
  const whole = said.filter(({ status }) => status === 'completed');
  const left = [
    ...said.filter(({ status }) => status === 'in_progress').map(({ id }) => id),
    ...steps.filter(({ status }) => status === 'in_progress').map(({ id }) => id),
  ];
  if (left.length > 0) violated('I1', `left open after the end: ${shown(left)}`);
  const failed = steps.filter(({ status }) => status === 'failed').length;
  if (failed > REQUESTS_PER_FAULT * faults)
    violated('I9', `${failed} steps were begun again after ${faults} faults`);
  if (said.length - whole.length > failed)
    violated('I1', `${said.length - whole.length} incomplete messages, ${failed} turns begun again`);
  if (run?.status !== 'completed') return;
  if (whole.length !== 1) violated('I1', `${whole.length} messages of the model, expected one`);
  const spoken = steps.filter(
    ({ type, status }) => type === 'message_creation' && status === 'completed',
  ).length;
  if (spoken !== 1) violated('I1', `${spoken} completed message steps, expected one`);
  const [message] = whole;
  const part = message?.content[0];
  const text = part?.type === 'text' ? part.text.value : '';
  if (!text.startsWith(`Done in ${story.rounds.length} rounds;`))
    violated('I5', `the last word is ${shown(text)}`);
  const streamed = log
    .filter(({ event, of }) => event === 'thread.message.delta' && of === message?.id)
    .map(({ text: piece }) => piece)
    .join('');
  if (streamed !== text) violated('I5', `streamed was ${shown(streamed)}, the message says ${shown(text)}`);
};

const ENDS =
  /^thread\.(?:message\.(?:completed|incomplete)|run\.step\.(?:completed|failed|cancelled|expired))$/;
const BEGINS = /^thread\.(?:message|run\.step)\.created$/;

/** The log: gapless, one beginning and one end for each object, the run's own end last; a reader saw exactly this. */
const events = ({ events: log, seen }: NativeFacts, run: Run, violated: Report): void => {
  const gap = log.findIndex(({ seq }, at) => seq !== at + 1);
  if (gap >= 0) violated('events', `event ${gap + 1} has number ${log[gap]?.seq}`);
  const last = log.at(-1)?.event;
  if (last !== `thread.run.${run.status}`) violated('events', `the last event is ${shown(last)}`);
  const ends = log.filter(({ event, of }) => of === run.id && event === last);
  if (ends.length !== 1) violated('events', `${ends.length} events ${last}`);
  for (const [name, pattern] of [
    ['begins', BEGINS],
    ['ends', ENDS],
  ] as const) {
    const ids = log.filter(({ event }) => pattern.test(event)).map(({ of }) => of);
    const twice = ids.find((id, at) => ids.indexOf(id) < at);
    if (twice !== undefined) violated('events', `${twice} ${name} twice`);
  }
  if (seen === null) return;
  const kept = log.map(({ seq, event }) => ({ seq, event }));
  if (shown(seen) !== shown(kept))
    violated('events', `a reader saw ${seen.length} events, the log has ${log.length}, or in another order`);
};
