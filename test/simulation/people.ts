/**
 * People, the API's caller and strangers of a schedule: when they act, and with which payload.
 *
 * Rule: they know the ids of calls and nothing of the run's inside; an update whose reply was lost is sent again with the
 * same id, as the real client does. Only `test/simulation` imports it.
 */
import { ANSWER, SUBMIT_TOOL_OUTPUTS } from '../../protocol/temporal/names.ts';
import type { AnswerReply, SubmitReply } from '../../protocol/temporal/messages.ts';
import type { Ledger } from './ledger.ts';
import type { CallScript, PersonAct, Scenario, SubmitAct } from './scenario.ts';
import type { Server } from './temporal/server.ts';
import type { SimClock } from './temporal/types.ts';

const HUGE = 'x'.repeat(512_001);

/** The payload, and whether it can't be of use in any state. */
const saying = (call: CallScript, act: PersonAct): { payload: unknown; useless: boolean } => {
  const approval = call.plan.kind === 'approval';
  const base = { call_id: call.callId, by: 'ann' };
  const good = approval ? { ...base, decision: 'approve' } : { ...base, output: `out:${call.callId}` };
  switch (act.say) {
    case 'good':
      return { payload: good, useless: false };
    case 'other':
      return {
        payload: approval
          ? { ...base, decision: 'deny', reason: 'other' }
          : { ...base, output: { other: call.callId } },
        useless: false,
      };
    case 'deny':
      return { payload: { ...base, decision: 'deny', reason: 'no' }, useless: false };
    case 'edit':
      return { payload: { ...base, decision: 'approve', arguments: { edited: true } }, useless: false };
    case 'wrong_kind':
      return {
        payload: approval ? { ...base, output: 'x' } : { ...base, decision: 'approve' },
        useless: true,
      };
    case 'malformed':
      return { payload: { call_id: call.callId, output: 'x', decision: 'approve' }, useless: true };
    case 'other_run':
      return { payload: { ...good, run_id: 'run_somewhere_else' }, useless: true };
    case 'unknown_call':
      return { payload: { ...good, call_id: 'call_nowhere' }, useless: true };
    default:
      return { payload: { ...base, output: HUGE }, useless: true };
  }
};

const said = (payload: unknown): { kind: 'output' | 'approve' | 'deny'; text: string } => {
  const { output, decision } = payload as { output?: unknown; decision?: 'approve' | 'deny' };
  if (decision !== undefined) return { kind: decision, text: decision };
  return { kind: 'output', text: typeof output === 'string' ? output : JSON.stringify(output) };
};

export interface People {
  /** The run begins. */
  started(): void;
  /** A round is open at the server. */
  opened(round: number, calls: readonly CallScript[]): void;
  /** Acts that are still to come. */
  pending(): number;
}

/** Where people reach past the workflow. */
export interface PeopleApi {
  /** The API's caller was told that its outputs are accepted. */
  submitted(outputs: readonly { tool_call_id: string; output: string }[]): void;
  /** A stranger answers the round at the server. */
  stranger(round: number, calls: readonly CallScript[]): void;
}

export const createPeople = (
  scenario: Scenario,
  clock: SimClock,
  server: () => Server,
  ledger: Ledger,
  api: PeopleApi,
): People => {
  let pending = 0;
  let opened = 0;
  const at = (ms: number, fn: () => void): void => {
    pending += 1;
    clock.setTimeout(() => {
      pending -= 1;
      fn();
    }, ms);
  };

  const signal = (payload: unknown, useless: boolean): void => {
    ledger.note(`signal ${short(payload)}`);
    if (!server().signal(payload)) return;
    ledger.signals += 1;
    if (useless) ledger.uselessSignals += 1;
  };
  const short = (payload: unknown): string => {
    if (ledger.trace === null) return '';
    const text = JSON.stringify(payload) ?? 'undefined';
    return text.length > 160 ? `${text.slice(0, 160)}…` : text;
  };
  const update = (id: string, payload: unknown): void => {
    ledger.note(`update ${id} ${short(payload)}`);
    server().update(id, ANSWER, payload, (outcome) => {
      ledger.note(
        `update ${id}: ${outcome.kind}${outcome.kind === 'refused' ? ` (${outcome.failure.failure.type})` : ''}`,
      );
      if (outcome.kind !== 'accepted') return;
      const reply = outcome.reply as AnswerReply;
      if (reply.call_id !== (payload as { call_id: string }).call_id)
        ledger.violate('I6', `update ${id} was acknowledged for call ${reply.call_id}`);
      if (
        !ledger.acknowledged.some(
          (known) => known.callId === reply.call_id && known.text === said(payload).text,
        )
      )
        ledger.acknowledged.push({ callId: reply.call_id, ...said(payload), at: clock.now() });
    });
  };

  const act = (call: CallScript, doing: PersonAct): void => {
    const { payload, useless } = saying(call, doing);
    if (doing.via === 'signal') {
      signal(payload, useless);
      if (doing.againMs !== null) at(doing.againMs, () => signal(payload, useless));
      return;
    }
    const id = `${call.callId}:${doing.say}`;
    update(id, payload);
    if (doing.againMs !== null) at(doing.againMs, () => update(id, payload));
  };

  const submit = (round: number, calls: readonly CallScript[], doing: SubmitAct): void => {
    const outputs = calls
      .filter((call) => call.plan.kind === 'external')
      .map((call) => ({ tool_call_id: call.callId, output: `out:${call.callId}` }));
    const first = outputs[0];
    if (first === undefined) return;
    let runId = scenario.runId;
    let given: unknown = outputs;
    switch (doing.say) {
      case 'missing':
        given = outputs.slice(1).length > 0 ? outputs.slice(1) : [{ ...first, tool_call_id: 'call_nowhere' }];
        break;
      case 'extra':
        given = [...outputs, { tool_call_id: 'call_nowhere', output: 'x' }];
        break;
      case 'differ':
        given = outputs.map((output) => ({ ...output, output: `submitted:${output.tool_call_id}` }));
        break;
      case 'duplicate':
        given = [...outputs, first];
        break;
      case 'wrong_run':
        runId = 'run_somewhere_else';
        break;
      case 'malformed':
        given = [];
        break;
      case 'previous': {
        const turn = scenario.turns[round - 2];
        if (turn?.kind === 'calls')
          given = turn.calls
            .filter((call) => call.plan.kind === 'external')
            .map((call) => ({ tool_call_id: call.callId, output: `out:${call.callId}` }));
        break;
      }
      case 'good':
        break;
    }
    const payload = { run_id: runId, tool_outputs: given };
    const id = `submit:${round}:${doing.say}`;
    const send = (): void => {
      ledger.note(`update ${id}`);
      server().update(id, SUBMIT_TOOL_OUTPUTS, payload, (outcome) => {
        ledger.note(
          `update ${id}: ${outcome.kind}${outcome.kind === 'refused' ? ` (${outcome.failure.failure.type})` : ''}`,
        );
        if (outcome.kind !== 'accepted') return;
        const reply = outcome.reply as SubmitReply;
        const list = given as { tool_call_id: string; output: string }[];
        if (reply.result === 'accepted')
          for (const output of list)
            if (!ledger.acknowledged.some((known) => known.callId === output.tool_call_id))
              ledger.acknowledged.push({
                callId: output.tool_call_id,
                kind: 'output',
                text: output.output,
                at: clock.now(),
              });
        api.submitted(list);
      });
    };
    send();
    if (doing.againMs !== null) at(doing.againMs, send);
  };

  return {
    pending: () => pending,
    started() {
      for (const turn of scenario.turns)
        if (turn.kind === 'calls')
          for (const call of turn.calls)
            for (const doing of call.acts)
              if (doing.from === 'start') at(doing.afterMs, () => act(call, doing));
      for (const junk of scenario.junk) {
        const payload = {
          null: null,
          text: 'hello',
          number: 7,
          array: [1],
          proto: JSON.parse('{"__proto__":{"x":1}}'),
        }[junk.kind] as unknown;
        at(junk.afterMs, () => signal(payload, true));
      }
    },
    opened(round, calls) {
      // A turn that is asked again after a lost attempt opens once only.
      if (round <= opened) return;
      opened = round;
      const turn = scenario.turns[round - 1];
      if (turn?.kind !== 'calls') return;
      for (const call of calls)
        for (const doing of call.acts) if (doing.from === 'open') at(doing.afterMs, () => act(call, doing));
      for (const doing of turn.submits) at(doing.afterMs, () => submit(round, calls, doing));
      if (turn.stranger !== null) at(turn.stranger, () => api.stranger(round, calls));
    },
  };
};
