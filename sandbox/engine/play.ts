/**
 * A run's life in the in-memory engine: picked up, turn by turn through its script, waiting, ended.
 *
 * Rules: every change writes its event in the order that the API's own streams have; nothing leaves a terminal status;
 * ending a run releases its thread and whatever was scheduled. Synchronous inside: between two timers nothing interleaves.
 * Only `sandbox/engine/` imports it.
 */
import type { StreamEvent } from '../../protocol/events.ts';
import { isTerminal } from '../../protocol/wire.ts';
import type {
  MessageContent,
  TerminalStatus,
  ToolOutput,
  WireLastError,
  WireUsage,
} from '../../protocol/wire.ts';
import type { Clock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import { argumentsText, fragments, pieces, takeTurn, tokens, underRules } from '../script.ts';
import type { Turn, TurnInput } from '../script.ts';
import { append } from './log.ts';
import type { Quirks } from './quirks.ts';
import { messageView, runView, stepView } from './records.ts';
import type { CallRecord, MessageRecord, RunRecord, StepRecord } from './records.ts';

export interface PlayDeps {
  clock: Clock;
  ids: IdSource;
  delays: {
    /** `queued` → `in_progress`. */
    pickupMs: number;
    /** `cancelling` → `cancelled`. */
    cancelMs: number;
  };
  quirks: Readonly<Quirks>;
}

export interface Player {
  /** A new run: its first events, then on by the clock. */
  begin(run: RunRecord): void;
  /** All outputs of the open round are in: on with the run. */
  resume(run: RunRecord, outputs: readonly ToolOutput[]): void;
  cancel(run: RunRecord): void;
  /** Expires the run if its time has come. Every read calls it, so the deadline never depends on a timer's mood. */
  expireIfDue(run: RunRecord): void;
}

const textOf = (content: readonly MessageContent[]): string =>
  content.map((part) => (part.type === 'text' ? part.text.value : '')).join('');

const turnInput = (run: RunRecord): TurnInput => {
  const last = run.steps.findLast((step) => 'calls' in step.details);
  const calls = last !== undefined && 'calls' in last.details ? last.details.calls : [];
  return {
    round: run.round,
    messages: run.thread.messages
      .filter((message) => message.status !== 'incomplete')
      .map((message) => ({ role: message.role, text: textOf(message.content) })),
    outputs: calls.map((call) => ({
      callId: call.id,
      name: call.name,
      arguments: call.arguments,
      output: call.output ?? '',
    })),
    model: run.model,
    instructions: run.instructions,
    tools: run.tools,
    argument: run.script.argument,
    assistant: run.assistant,
    run: { id: run.id, metadata: run.metadata },
  };
};

const turnUsage = (turn: Turn, input: TurnInput, said: string): WireUsage => {
  const prompt =
    turn.usage?.prompt_tokens ??
    tokens(
      input.instructions ?? '',
      ...input.messages.map(({ text }) => text),
      ...input.outputs.map(({ output }) => output),
    );
  const completion = turn.usage?.completion_tokens ?? tokens(said);
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
};

const MESSAGE_REASON: Record<string, string> = {
  cancelled: 'run_cancelled',
  expired: 'run_expired',
  failed: 'run_failed',
  content_filter: 'content_filter',
};

export const createPlayer = ({ clock, ids, delays, quirks }: PlayDeps): Player => {
  const emit = (run: RunRecord, event: StreamEvent): void => append(run, event);
  const emitRun = (run: RunRecord, name: 'created' | RunRecord['status'] = run.status): void =>
    emit(run, { event: `thread.run.${name}`, data: runView(run) });
  const emitStep = (
    run: RunRecord,
    step: StepRecord,
    name: 'created' | StepRecord['status'] = step.status,
  ): void => emit(run, { event: `thread.run.step.${name}`, data: stepView(step, run) });
  const emitMessage = (
    run: RunRecord,
    message: MessageRecord,
    name: 'created' | MessageRecord['status'] = message.status,
  ): void => emit(run, { event: `thread.message.${name}`, data: messageView(message, run.thread.id) });

  const later = (run: RunRecord, ms: number, fn: () => void): void => {
    const cancel = clock.setTimeout(() => {
      run.timers.delete(cancel);
      fn();
    }, ms);
    run.timers.add(cancel);
  };
  const dropTimers = (run: RunRecord): void => {
    for (const cancel of run.timers) cancel();
    run.timers.clear();
  };
  const armExpiry = (run: RunRecord): void => {
    if (run.expiresAt !== null) later(run, run.expiresAt - clock.now(), () => expireIfDue(run));
  };

  const addUsage = (run: RunRecord, usage: WireUsage): void => {
    const before = run.usage ?? { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    run.usage = {
      prompt_tokens: before.prompt_tokens + usage.prompt_tokens,
      completion_tokens: before.completion_tokens + usage.completion_tokens,
      total_tokens: before.total_tokens + usage.total_tokens,
    };
  };

  const openStep = (run: RunRecord, details: StepRecord['details']): StepRecord => {
    const step: StepRecord = {
      id: ids('step'),
      createdAt: clock.now(),
      status: 'in_progress',
      endedAt: null,
      lastError: null,
      usage: null,
      details,
    };
    run.steps.push(step);
    emitStep(run, step, 'created');
    emitStep(run, step, 'in_progress');
    return step;
  };
  const endStep = (run: RunRecord, step: StepRecord, status: StepRecord['status']): void => {
    step.status = status;
    step.endedAt = clock.now();
    if (status === 'failed') step.lastError = run.lastError;
    emitStep(run, step);
  };
  const endMessage = (run: RunRecord, message: MessageRecord, reason: string | null): void => {
    message.status = reason === null ? 'completed' : 'incomplete';
    message.reason = reason;
    message.endedAt = clock.now();
    emitMessage(run, message);
  };

  /** The terminal transition: what is open ends with the run, then the run's own event, then the lock is free. */
  const end = (
    run: RunRecord,
    status: TerminalStatus,
    more: { lastError?: WireLastError; reason?: string } = {},
  ): void => {
    dropTimers(run);
    run.lastError = more.lastError ?? null;
    for (const message of run.thread.messages) {
      if (message.runId === run.id && message.status === 'in_progress')
        endMessage(run, message, MESSAGE_REASON[more.reason ?? status] ?? 'max_tokens');
    }
    for (const step of run.steps) {
      if (step.status !== 'in_progress') continue;
      endStep(run, step, status === 'incomplete' ? 'completed' : status);
    }
    run.open = null;
    run.answers.clear();
    run.status = status;
    run.reason = more.reason ?? null;
    run.endedAt = clock.now();
    if (run.thread.active === run) run.thread.active = null;
    emitRun(run);
  };

  /** Says a text as a message of its own; yields the pauses between its pieces. */
  function* say(
    run: RunRecord,
    turn: { text?: string; chunks?: string[]; chunkDelayMs?: number },
  ): Generator<number, { message: MessageRecord; step: StepRecord }> {
    const message: MessageRecord = {
      id: ids('msg'),
      createdAt: clock.now(),
      status: 'in_progress',
      reason: null,
      endedAt: null,
      role: 'assistant',
      content: [],
      assistantId: run.assistant.id,
      runId: run.id,
      metadata: {},
    };
    const step = openStep(run, { messageId: message.id });
    run.thread.messages.push(message);
    emitMessage(run, message, 'created');
    emitMessage(run, message, 'in_progress');
    let said = '';
    for (const value of pieces(turn)) {
      if (said !== '' && turn.chunkDelayMs !== undefined) yield turn.chunkDelayMs;
      const first = said === '';
      said += value;
      message.content = [{ type: 'text', text: { value: said, annotations: [] } }];
      emit(run, {
        event: 'thread.message.delta',
        data: {
          id: message.id,
          object: 'thread.message.delta',
          delta: {
            content: [{ index: 0, type: 'text', text: first ? { value, annotations: [] } : { value } }],
          },
        },
      });
    }
    return { message, step };
  }

  function* call(
    run: RunRecord,
    turn: Extract<Turn, { calls: unknown }>,
    usage: WireUsage,
  ): Generator<number, void> {
    const calls: CallRecord[] = [];
    const step = openStep(run, { calls });
    const delta = (index: number, call: { id?: string; name?: string; arguments?: string }): void =>
      emit(run, {
        event: 'thread.run.step.delta',
        data: {
          id: step.id,
          object: 'thread.run.step.delta',
          delta: {
            step_details: {
              type: 'tool_calls',
              tool_calls: [
                call.id === undefined
                  ? { index, type: 'function', function: { arguments: call.arguments ?? '' } }
                  : {
                      index,
                      type: 'function',
                      id: call.id,
                      function: { name: call.name ?? '', arguments: '', output: null },
                    },
              ],
            },
          },
        },
      });
    for (const [index, scripted] of turn.calls.entries()) {
      const text = argumentsText(scripted);
      const record: CallRecord = {
        id: scripted.id ?? ids('call'),
        name: scripted.name,
        arguments: '',
        output: null,
      };
      calls.push(record);
      delta(index, record);
      for (const part of fragments(text)) {
        if (turn.chunkDelayMs !== undefined) yield turn.chunkDelayMs;
        record.arguments += part;
        delta(index, { arguments: part });
      }
    }
    step.usage = usage;
    addUsage(run, usage);
    run.open = step;
    run.status = 'requires_action';
    if (quirks.expiryPerWait && run.expiresAt !== null) {
      dropTimers(run);
      run.expiresAt = clock.now() + run.lifetimeMs;
      armExpiry(run);
    }
    emitRun(run);
  }

  function* perform(run: RunRecord, turn: Turn, input: TurnInput): Generator<number, void> {
    if (turn.delayMs !== undefined) yield turn.delayMs;
    if ('hang' in turn) return;
    if ('fail' in turn) {
      end(run, 'failed', { lastError: { code: turn.fail.code, message: turn.fail.message } });
      return;
    }
    if ('calls' in turn && turn.calls.length > 0) {
      const said = turn.calls.map((scripted) => scripted.name + argumentsText(scripted)).join('');
      if (turn.text !== undefined) {
        const { message, step } = yield* say(run, turn);
        endMessage(run, message, null);
        endStep(run, step, 'completed');
      }
      yield* call(run, turn, turnUsage(turn, input, said + (turn.text ?? '')));
      return;
    }
    const text = turn.text ?? '';
    const usage = turnUsage(turn, input, text);
    if ('incomplete' in turn) {
      if (turn.text !== undefined) yield* say(run, turn);
      addUsage(run, usage);
      end(run, 'incomplete', { reason: turn.incomplete });
      return;
    }
    const budget = run.params.max_completion_tokens;
    if (budget != null && (run.usage?.completion_tokens ?? 0) + usage.completion_tokens > budget) {
      const left = budget - (run.usage?.completion_tokens ?? 0);
      yield* say(run, { text: text.slice(0, left * 4) });
      addUsage(run, { ...usage, completion_tokens: left, total_tokens: usage.prompt_tokens + left });
      end(run, 'incomplete', { reason: 'max_completion_tokens' });
      return;
    }
    const { message, step } = yield* say(run, turn);
    endMessage(run, message, null);
    step.usage = usage;
    endStep(run, step, 'completed');
    addUsage(run, usage);
    end(run, 'completed');
  }

  const drive = (run: RunRecord, pauses: Iterator<number, void>): void => {
    for (;;) {
      const pause = pauses.next();
      if (pause.done === true) return;
      if (pause.value > 0) {
        later(run, pause.value, () => drive(run, pauses));
        return;
      }
    }
  };

  const pickUp = (run: RunRecord): void => {
    if (run.status !== 'queued') return;
    run.status = 'in_progress';
    run.startedAt = clock.now();
    emitRun(run);
    const input = turnInput(run);
    const turn = underRules(takeTurn(run.script, input), {
      toolChoice: run.params.tool_choice,
      parallel: run.params.parallel_tool_calls !== false,
    });
    drive(run, perform(run, turn, input));
  };

  const expireIfDue = (run: RunRecord): void => {
    if (run.expiresAt === null || isTerminal(run.status) || clock.now() < run.expiresAt) return;
    end(run, 'expired');
  };

  return {
    begin(run) {
      emitRun(run, 'created');
      emitRun(run, 'queued');
      armExpiry(run);
      later(run, delays.pickupMs, () => pickUp(run));
    },
    resume(run, outputs) {
      const step = run.open;
      if (step === null || !('calls' in step.details)) return;
      const byId = new Map(outputs.map((given) => [given.tool_call_id, given.output]));
      for (const record of step.details.calls) record.output = byId.get(record.id) ?? record.output ?? '';
      run.lastOutputs = [...outputs];
      run.lastSubmitSeq = run.log.length;
      run.round += 1;
      run.open = null;
      run.answers.clear();
      endStep(run, step, 'completed');
      run.status = 'queued';
      if (quirks.noQueuedAfterSubmit) {
        pickUp(run);
        return;
      }
      emitRun(run);
      later(run, delays.pickupMs, () => pickUp(run));
    },
    cancel(run) {
      dropTimers(run);
      run.status = 'cancelling';
      emitRun(run);
      armExpiry(run);
      later(run, delays.cancelMs, () => end(run, 'cancelled'));
    },
    expireIfDue,
  };
};
