/**
 * A run's life in the scripted server: started, played turn by turn, waiting, ended.
 *
 * Rules: every change writes its event in the order of the API's own streams; a terminal status never changes; ending a run
 * releases its thread and its timers. Synchronous inside: nothing interleaves between two timers. Imported by this folder.
 */
import { isTerminal } from '../../protocol/wire/objects.ts';
import type { TerminalStatus, ToolOutput, WireLastError, WireUsage } from '../../protocol/wire/objects.ts';
import type { ManualClock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import { argumentsText, fragments, pieces } from '../script.ts';
import type { ScriptedCall, ScriptedTurn, TurnInput } from '../script.ts';
import { addUsage, dropTimers, emitCall, emitMessage, emitRun, emitStep, emitText } from './emit.ts';
import type { Quirks } from './quirks.ts';
import type { CallRecord, MessageRecord, RunRecord, StepRecord } from './records.ts';
import { decide, tokensLeft, turnInput, turnUsage } from './turns.ts';

export interface PlayDeps {
  clock: ManualClock;
  ids: IdSource;
  delays: {
    /** `queued` → `in_progress`. */
    pickupMs: number;
    /** `cancelling` → `cancelled`. */
    cancelMs: number;
  };
  quirks: Readonly<Quirks>;
}

interface Ending {
  lastError?: WireLastError;
  reason?: string;
}

/** The reason on an unfinished message. */
const MESSAGE_REASON: Record<string, string> = {
  cancelled: 'run_cancelled',
  expired: 'run_expired',
  failed: 'run_failed',
  content_filter: 'content_filter',
};

export class Player {
  readonly #deps: PlayDeps;

  constructor(deps: PlayDeps) {
    this.#deps = deps;
  }

  /** A new run: its first events, then on by the clock. */
  begin(run: RunRecord): void {
    emitRun(run, 'created');
    emitRun(run, 'queued');
    this.#armExpiry(run);
    this.#later(run, this.#deps.delays.pickupMs, () => this.#pickUp(run));
  }

  /** All outputs of the open round are there: the run continues. */
  resume(run: RunRecord, outputs: readonly ToolOutput[]): void {
    const step = run.open;
    if (step === null || !('calls' in step.details)) return;
    const byId = new Map(outputs.map((given) => [given.tool_call_id, given.output]));
    for (const record of step.details.calls) record.output = byId.get(record.id) ?? record.output ?? '';
    run.lastOutputs = [...outputs];
    run.lastSubmitSeq = run.log.length;
    run.round += 1;
    run.open = null;
    run.answers.clear();
    this.#endStep(run, step, 'completed');
    run.status = 'queued';
    if (this.#deps.quirks.noQueuedAfterSubmit) {
      this.#pickUp(run);
      return;
    }
    emitRun(run);
    this.#later(run, this.#deps.delays.pickupMs, () => this.#pickUp(run));
  }

  cancel(run: RunRecord): void {
    dropTimers(run);
    run.status = 'cancelling';
    emitRun(run);
    this.#armExpiry(run);
    this.#later(run, this.#deps.delays.cancelMs, () => this.#end(run, 'cancelled'));
  }

  #later(run: RunRecord, ms: number, fn: () => void): void {
    const cancel = this.#deps.clock.setTimeout(() => {
      run.timers.delete(cancel);
      fn();
    }, ms);
    run.timers.add(cancel);
  }

  #armExpiry(run: RunRecord): void {
    if (run.expiresAt !== null)
      this.#later(run, run.expiresAt - this.#deps.clock.now(), () => this.expireIfDue(run));
  }

  #openStep(run: RunRecord, details: StepRecord['details']): StepRecord {
    const step: StepRecord = {
      id: this.#deps.ids('step'),
      createdAt: this.#deps.clock.now(),
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
  }

  #endStep(run: RunRecord, step: StepRecord, status: StepRecord['status']): void {
    step.status = status;
    step.endedAt = this.#deps.clock.now();
    if (status === 'failed') step.lastError = run.lastError;
    emitStep(run, step);
  }

  #endMessage(run: RunRecord, message: MessageRecord, reason: string | null): void {
    message.status = reason === null ? 'completed' : 'incomplete';
    message.reason = reason;
    message.endedAt = this.#deps.clock.now();
    emitMessage(run, message);
  }

  /**
   * The terminal transition: open objects end with the run, then comes the run's own event, then the lock is released.
   */
  #end(run: RunRecord, status: TerminalStatus, more: Ending = {}): void {
    dropTimers(run);
    run.lastError = more.lastError ?? null;
    for (const message of run.thread.messages) {
      if (message.runId === run.id && message.status === 'in_progress')
        this.#endMessage(run, message, MESSAGE_REASON[more.reason ?? status] ?? 'max_tokens');
    }
    for (const step of run.steps) {
      if (step.status === 'in_progress')
        this.#endStep(run, step, status === 'incomplete' ? 'completed' : status);
    }
    run.open = null;
    run.answers.clear();
    run.status = status;
    run.reason = more.reason ?? null;
    run.endedAt = this.#deps.clock.now();
    if (run.thread.active === run) run.thread.active = null;
    emitRun(run);
  }

  #openMessage(run: RunRecord): { message: MessageRecord; step: StepRecord } {
    const message: MessageRecord = {
      id: this.#deps.ids('msg'),
      createdAt: this.#deps.clock.now(),
      status: 'in_progress',
      reason: null,
      endedAt: null,
      role: 'assistant',
      content: [],
      assistantId: run.assistant.id,
      runId: run.id,
      metadata: {},
    };
    const step = this.#openStep(run, { messageId: message.id });
    run.thread.messages.push(message);
    emitMessage(run, message, 'created');
    emitMessage(run, message, 'in_progress');
    return { message, step };
  }

  /** Writes a text as a message of its own, and leaves the message open; yields the pauses between its pieces. */
  *#say(
    run: RunRecord,
    turn: { text?: string; chunks?: string[]; chunkDelayMs?: number },
  ): Generator<number, { message: MessageRecord; step: StepRecord }> {
    const opened = this.#openMessage(run);
    let said = '';
    for (const value of pieces(turn)) {
      const first = said === '';
      if (!first && turn.chunkDelayMs !== undefined) yield turn.chunkDelayMs;
      said += value;
      opened.message.content = [{ type: 'text', text: { value: said, annotations: [] } }];
      emitText(run, opened.message.id, value, first);
    }
    return opened;
  }

  *#sayWhole(
    run: RunRecord,
    turn: { text?: string; chunks?: string[]; chunkDelayMs?: number },
    usage: WireUsage | null,
  ): Generator<number, void> {
    const { message, step } = yield* this.#say(run, turn);
    this.#endMessage(run, message, null);
    step.usage = usage;
    this.#endStep(run, step, 'completed');
  }

  /** Requests tools and leaves the run waiting. */
  *#ask(
    run: RunRecord,
    turn: { calls: ScriptedCall[]; chunkDelayMs?: number },
    usage: WireUsage,
  ): Generator<number, void> {
    const calls: CallRecord[] = [];
    const step = this.#openStep(run, { calls });
    for (const [index, scripted] of turn.calls.entries()) {
      const record: CallRecord = {
        id: scripted.id ?? this.#deps.ids('call'),
        name: scripted.name,
        arguments: '',
        output: null,
      };
      calls.push(record);
      emitCall(run, step.id, index, { id: record.id, name: record.name });
      for (const part of fragments(argumentsText(scripted))) {
        if (turn.chunkDelayMs !== undefined) yield turn.chunkDelayMs;
        record.arguments += part;
        emitCall(run, step.id, index, { arguments: part });
      }
    }
    step.usage = usage;
    addUsage(run, usage);
    run.open = step;
    run.status = 'requires_action';
    if (this.#deps.quirks.expiryPerWait && run.expiresAt !== null) {
      dropTimers(run);
      run.expiresAt = this.#deps.clock.now() + run.lifetimeMs;
      this.#armExpiry(run);
    }
    emitRun(run);
  }

  *#answer(run: RunRecord, turn: ScriptedTurn, input: TurnInput, text: string): Generator<number, void> {
    const usage = turnUsage(turn, input, text);
    const left = tokensLeft(run);
    if (left !== null && usage.completion_tokens > left) {
      yield* this.#say(run, { text: text.slice(0, left * 4) });
      addUsage(run, { ...usage, completion_tokens: left, total_tokens: usage.prompt_tokens + left });
      this.#end(run, 'incomplete', { reason: 'max_completion_tokens' });
      return;
    }
    if ('incomplete' in turn) {
      if (turn.text !== undefined) yield* this.#say(run, turn);
      addUsage(run, usage);
      this.#end(run, 'incomplete', { reason: turn.incomplete });
      return;
    }
    yield* this.#sayWhole(run, 'text' in turn ? turn : {}, usage);
    addUsage(run, usage);
    this.#end(run, 'completed');
  }

  /** Plays one turn; each yielded number is a pause in milliseconds. */
  *#perform(run: RunRecord, turn: ScriptedTurn, input: TurnInput): Generator<number, void> {
    if (turn.delayMs !== undefined) yield turn.delayMs;
    if ('hang' in turn) return;
    if ('fail' in turn) {
      this.#end(run, 'failed', { lastError: { code: turn.fail.code, message: turn.fail.message } });
      return;
    }
    if ('calls' in turn && turn.calls.length > 0) {
      const said = turn.calls.map((scripted) => scripted.name + argumentsText(scripted)).join('');
      if (turn.text !== undefined) yield* this.#sayWhole(run, turn, null);
      yield* this.#ask(run, turn, turnUsage(turn, input, said + (turn.text ?? '')));
      return;
    }
    yield* this.#answer(run, turn, input, turn.text ?? '');
  }

  #drive(run: RunRecord, pauses: Iterator<number, void>): void {
    for (;;) {
      const pause = pauses.next();
      if (pause.done === true) return;
      if (pause.value > 0) {
        this.#later(run, pause.value, () => this.#drive(run, pauses));
        return;
      }
    }
  }

  #pickUp(run: RunRecord): void {
    if (run.status !== 'queued') return;
    run.status = 'in_progress';
    run.startedAt = this.#deps.clock.now();
    emitRun(run);
    const input = turnInput(run);
    this.#drive(run, this.#perform(run, decide(run, input), input));
  }

  /** Expires the run if its time has come. Every read calls it, so the deadline does not depend on a timer. */
  expireIfDue(run: RunRecord): void {
    if (run.expiresAt === null || isTerminal(run.status) || this.#deps.clock.now() < run.expiresAt) return;
    this.#end(run, 'expired');
  }
}
