/**
 * A run's machine in a made-up world: a server, tools, people and a clock, all driven by one list of decisions.
 *
 * Rule: the world follows the machine's effects to the letter and keeps its own books; whatever it finds wrong is thrown,
 * so a property only has to play a schedule. After the decisions are used up, faults stop and the run must end.
 */
import { deepStrictEqual as same, ok as must } from 'node:assert';
import type { RunRef, Settled } from '../../protocol/ports/backend.ts';
import type { AnswerSource } from '../../protocol/decisions.ts';
import type { ApprovalPolicy, PlannedCall } from '../../protocol/tool-calls.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { RunInput, RunResult } from '../../protocol/temporal/messages.ts';
import { answerDigest, evaluateAnswer } from '../../workflows/run/evaluate-answer.ts';
import type { Effect } from '../../workflows/run/effects.ts';
import { step } from '../../workflows/run/machine.ts';
import { initialState } from '../../workflows/run/state.ts';
import type { Input, MachineState, OperationKind } from '../../workflows/run/state.ts';
import { evaluateSubmit } from '../../workflows/run/evaluate-submit.ts';
import { runInput } from './run-stubs.ts';
import { mustBeDenied, mustRun } from './vote-oracle.ts';

const START = 1_700_000_000_000;
const LIFE = 600_000;
const RUN: RunRef = { backendRunId: 'run_backend', threadId: 'thread_1' };
const MOST_STEPS = 2000;

export interface World {
  backend: 'assistants' | 'chat';
  rounds: PlannedCall[][];
  /** Does the server name an expiry, and keep it? */
  expiry: 'kept' | 'unkept' | 'none';
  hooks: boolean;
  decisions: number[];
}

/** Reasons for answers that were acknowledged; the others are of answers that were refused. */
const TAKEN_IN_VAIN = ['expired', 'cancelled', 'failed', 'superseded', 'arguments_refused'];

const PEOPLE = ['ann', 'bob', 'cleo', 'dan', 'eve'];

type Doing = { kind: OperationKind; lands: (fault: number) => Input };

export interface Played {
  result: RunResult;
  inputs: Input[];
  /** Rounds whose outputs the server took. */
  taken: number;
  accepted: number;
  handedOver: number;
  /** Entries of ballots that people made. */
  votes: number;
  /** Calls that ran because several people agreed. */
  agreed: number;
  denied: number;
  notices: number;
}

export const simulate = (world: World): Played => {
  const native = world.backend === 'chat';
  const input: Partial<RunInput> = {
    backend: world.backend,
    expiresAt: native ? START + LIFE : null,
    createdAt: native ? START : null,
    hooks: { onWaiting: world.hooks, onEnd: world.hooks },
  };
  const limit = START + LIFE;
  let now = START;
  let state = initialState(runInput('run_1', input));
  const inputs: Input[] = [];

  // The server's truth.
  let status: Settled['status'] = 'requires_action';
  let serverRound = 0;
  const taken = new Map<number, Map<string, string>>();

  // The world's books.
  let doing: Doing | null = null;
  const tools = new Set<string>();
  const tasks = new Set<string>();
  let timer: number | null = null;
  let waiting = false;
  let cancelled = false;
  let finish: { result: RunResult; cancelled: boolean } | null = null;
  const accepted: { callId: string; digest: string; output: string | null; round: number }[] = [];
  let votes = 0;
  let agreed = 0;
  let denied = 0;
  const ranOnce = new Set<string>();
  const submitsOf = new Map<number, number>();
  const handedOver = new Set<string>();

  const serverExpires = (): void => {
    if (status === 'requires_action' && world.expiry === 'kept' && !native && now >= limit)
      status = 'expired';
  };
  const serverSays = (): Settled => {
    serverExpires();
    const calls = world.rounds[serverRound];
    if (status === 'requires_action' && calls === undefined) status = 'completed';
    return status === 'requires_action' && calls !== undefined
      ? {
          status,
          run: RUN,
          calls,
          expiresAt: world.expiry === 'none' && !native ? null : limit,
          createdAt: START,
        }
      : { status: status === 'requires_action' ? 'completed' : status, run: RUN };
  };
  const failure = (via: OperationKind, type: string): Input => ({
    type: 'activityFailed',
    via,
    failure: { kind: 'application', type, message: 'no' },
    at: now,
  });

  const perform = (effect: Effect): Doing | null => {
    switch (effect.type) {
      case 'create':
        return {
          kind: 'create',
          lands: (fault) =>
            fault === 1
              ? failure('create', FAILURES.backendUnavailable)
              : { type: 'settled', via: 'create', settlement: serverSays(), at: now },
        };
      case 'submit': {
        const calls = state.calls;
        same(
          effect.outputs.map(({ tool_call_id: id }) => id),
          calls.map(({ callId }) => callId),
        );
        must(!submitsOf.has(effect.round), 'a second submit of one round');
        submitsOf.set(effect.round, 1);
        must(!native || now < limit, 'a submit after the expiry');
        return {
          kind: 'submit',
          lands: (fault) => {
            serverExpires();
            if (fault === 1) return failure('submit', FAILURES.backendConflict);
            let outputsTaken = false;
            if (status === 'requires_action') {
              outputsTaken = true;
              taken.set(
                effect.round,
                new Map(effect.outputs.map(({ tool_call_id: id, output }) => [id, output])),
              );
              serverRound += 1;
              if (fault === 2) status = 'failed';
            }
            const settlement = serverSays();
            return {
              type: 'settled',
              via: 'submit',
              settlement:
                settlement.status === 'requires_action' ? settlement : { ...settlement, outputsTaken },
              at: now,
            };
          },
        };
      }
      case 'follow':
        return {
          kind: 'follow',
          lands: (fault) => {
            // Somebody else submits over our heads.
            if (fault === 2 && status === 'requires_action') serverRound += 1;
            return fault === 1
              ? failure('follow', FAILURES.backendUnavailable)
              : { type: 'settled', via: 'follow', settlement: serverSays(), at: now };
          },
        };
      case 'close':
        return {
          kind: 'close',
          lands: (fault) => {
            if (fault === 1) return failure('close', FAILURES.backendUnavailable);
            serverExpires();
            if (status === 'requires_action')
              status =
                effect.how.kind === 'expire'
                  ? 'expired'
                  : effect.how.kind === 'fail' && native
                    ? 'failed'
                    : 'cancelled';
            return { type: 'settled', via: 'close', settlement: serverSays(), at: now };
          },
        };
      case 'startFollowUp':
        for (const call of effect.calls) if (call.given !== undefined) handedOver.add(call.callId);
        return {
          kind: 'startFollowUp',
          lands: () => ({ type: 'followUpStarted', workflowId: 'run_1.follow-up', at: now }),
        };
      case 'notifyEnd':
        return { kind: 'notifyEnd', lands: () => ({ type: 'endNotified', at: now }) };
      default:
        return null;
    }
  };

  const runEffect = (effect: Effect): void => {
    // Nothing may start after the finish.
    must(finish === null, 'an effect after the finish');
    switch (effect.type) {
      case 'cancelOp':
        same(doing?.kind, effect.via);
        // Told to stop: a create's outcome is still awaited on somebody else's server.
        if (!(effect.via === 'create' && state.op?.kind === 'create')) doing = null;
        return;
      case 'cancelTools':
        for (const callId of effect.callIds)
          must(tools.delete(callId), 'a tool told to stop that does not run');
        return;
      case 'disarmTimer':
        must(timer !== null, 'a timer disarmed that is not armed');
        timer = null;
        return;
      case 'armTimer':
        must(timer === null, 'a second timer');
        must(effect.at >= now, 'a timer in the past');
        timer = effect.at;
        return;
      case 'runTool':
        must(state.closing === null, 'a tool started in a run that is closed');
        must(!tools.has(effect.callId), 'a tool started twice');
        must(!ranOnce.has(`${state.round}:${effect.callId}`), 'a call ran again without a refusal between');
        ranOnce.add(`${state.round}:${effect.callId}`);
        tools.add(effect.callId);
        checkAgreement(effect.callId, effect.arguments);
        return;
      case 'notifyWaiting':
      case 'recordAnswers':
      case 'recordDecision':
        tasks.add(effect.key);
        return;
      case 'enterWait':
        waiting = true;
        return;
      case 'leaveWait':
        must(waiting, 'a wait left that was not entered');
        waiting = false;
        return;
      case 'finish':
        finish = { result: effect.result, cancelled: effect.cancelled };
        return;
      default: {
        must(doing === null, 'a second operation in flight');
        doing = perform(effect);
        must(doing !== null, 'an effect that nobody knows');
      }
    }
  };

  const subjectOf = (callId: string, policy: ApprovalPolicy) => {
    const call = state.calls.find((item) => item.callId === callId);
    must(call?.plan.kind === 'approval', 'no approval');
    return {
      callId,
      round: state.round,
      arguments: call.arguments,
      policy,
      requestedBy: call.plan.requestedBy,
    };
  };
  const policyOf = (callId: string): ApprovalPolicy | null => {
    const plan = state.calls.find((item) => item.callId === callId)?.plan;
    return plan?.kind === 'approval' ? (plan.approvers ?? null) : null;
  };
  const checkAgreement = (callId: string, ran: string): void => {
    const policy = policyOf(callId);
    if (policy === null) return;
    agreed += 1;
    mustRun(state.decisions ?? [], subjectOf(callId, policy), ran);
  };
  const checkDenials = (before: MachineState): void => {
    for (const call of state.calls) {
      const policy = policyOf(call.callId);
      const was = before.calls.find(({ callId }) => callId === call.callId);
      if (policy === null || was?.status !== 'waiting' || call.outcome?.notes?.includes('denied') !== true)
        continue;
      denied += 1;
      mustBeDenied(state.decisions ?? [], subjectOf(call.callId, policy));
    }
  };

  /** Resuming from the state, as after continue-as-new, must start exactly what the books say is in flight. */
  const resumesTheSame = (): void => {
    if (state.ended || (state.op?.kind === 'create' && state.closing !== null)) return;
    const stored = JSON.parse(JSON.stringify(state)) as MachineState;
    const again = step(stored, { type: 'resume', at: now });
    same(JSON.stringify(again.state), JSON.stringify(state));
    const started = again.effects.map((effect) => effect.type);
    const resumedTools = again.effects.flatMap((effect) =>
      effect.type === 'runTool' ? [effect.callId] : [],
    );
    same(resumedTools.toSorted(), [...tools].toSorted());
    const timers = again.effects.flatMap((effect) => (effect.type === 'armTimer' ? [effect.at] : []));
    same(timers, timer === null ? [] : [timer]);
    same(started.includes('enterWait'), waiting);
    const ops: string[] = started.filter((type) =>
      ['create', 'submit', 'follow', 'close', 'startFollowUp', 'notifyEnd'].includes(type),
    );
    same(ops, doing === null ? [] : [doing.kind]);
  };

  const feed = (next: Input): void => {
    inputs.push(next);
    if (inputs.length > MOST_STEPS) throw new Error('The run does not end.');
    const stored = JSON.parse(JSON.stringify(state)) as MachineState;
    const result = step(state, next);
    same(JSON.stringify(step(stored, next)), JSON.stringify(result));
    const before = state;
    state = result.state;
    for (const effect of result.effects) runEffect(effect);
    checkDenials(before);
    resumesTheSame();
  };

  const finishOp = (fault: number): void => {
    const current = doing;
    if (current === null) return;
    const landed = current.lands(fault);
    doing = null;
    feed(landed);
  };

  /** Open and late calls twice, so that many answers hit; then all there are, and one there is not. */
  const callIds = (): string[] => {
    const open = state.calls.filter((call) => call.status === 'waiting').map(({ callId }) => callId);
    const late = state.late.map(({ callId }) => callId);
    const all = world.rounds.flat().map(({ callId }) => callId);
    return [...open, ...late, ...open, ...late, ...all, 'call_unknown'];
  };

  const say = (choice: number): void => {
    const ids = callIds();
    const callId = ids[choice % ids.length] ?? '';
    const kind = Math.floor(choice / ids.length) % 5;
    const counted =
      [...state.calls, ...state.late].find((item) => item.callId === callId)?.plan.kind === 'approval' &&
      [...state.calls, ...state.late].some(
        ({ callId: id, plan }) => id === callId && plan.kind === 'approval' && plan.approvers !== undefined,
      );
    if (counted) return vote(callId, choice);
    const payload =
      kind === 0
        ? { call_id: callId, output: 'one' }
        : kind === 1
          ? { call_id: callId, output: 'two', by: 'bob' }
          : kind === 2
            ? { call_id: callId, decision: 'approve' as const }
            : kind === 3
              ? { call_id: callId, decision: 'deny' as const }
              : { call_id: callId };
    const judgement = evaluateAnswer(state, payload, now);
    const before = state;
    if (judgement.verdict === 'accept')
      accepted.push({
        callId,
        digest: answerDigest(judgement.payload),
        output: typeof judgement.payload.output === 'string' ? judgement.payload.output : null,
        round: judgement.late ? 0 : state.round,
      });
    feed({ type: 'answer', payload, at: now });
    if (judgement.verdict === 'repeat') same(state, before);
    if (judgement.verdict === 'refuse') same({ ...state, unusable: before.unusable }, before);
  };

  /** Five people, each with a name that is proven or not; two sets of other arguments; hand-overs among them. */
  const vote = (callId: string, choice: number): void => {
    const person = PEOPLE[choice % PEOPLE.length] ?? 'ann';
    const proven = Math.floor(choice / 5) % 3 !== 0;
    const kind = Math.floor(choice / 15) % 6;
    const groups = person === 'eve' ? ['heads'] : person === 'dan' ? [] : ['leads'];
    const source: AnswerSource = proven
      ? { door: 'http', keyName: person, groups }
      : { door: 'temporal_update' };
    const base = { call_id: callId, by: person };
    const payload =
      kind === 5
        ? {
            ...base,
            decision: 'delegate' as const,
            to: { people: [PEOPLE[(choice + 1 + Math.floor(choice / 90)) % PEOPLE.length] ?? 'bob'] },
          }
        : kind === 4
          ? { ...base, decision: 'deny' as const, reason: `no, says ${person}` }
          : kind < 2
            ? { ...base, decision: 'approve' as const }
            : { ...base, decision: 'approve' as const, arguments: kind === 2 ? { b: 1, a: 2 } : '{"a":3}' };
    const before = state;
    const recorded = state.decisions?.length ?? 0;
    const judgement = evaluateAnswer(state, payload, now, source);
    if (judgement.verdict === 'accept') {
      votes += 1;
      must(judgement.cast !== undefined, 'a vote that is none');
      if (judgement.cast.entry.undecided !== true)
        accepted.push({
          callId,
          digest: `vote ${votes}`,
          output: null,
          round: judgement.late ? 0 : state.round,
        });
    }
    feed({ type: 'answer', payload, source, at: now });
    const added = (state.decisions ?? []).slice(recorded);
    if (judgement.verdict === 'accept')
      must(
        added.some(({ by, decision, at }) => by === person && decision === payload.decision && at === now),
        'a vote that is not in the record',
      );
    if (judgement.verdict === 'repeat') same(state, before);
    if (judgement.verdict === 'refuse') same({ ...state, unusable: before.unusable }, before);
  };

  const submitAll = (output: string): void => {
    const open = state.calls.filter((call) => call.plan.kind === 'external');
    const payload = {
      run_id: 'run_1',
      tool_outputs: open.map((call) => ({ tool_call_id: call.callId, output })),
    };
    const judgement = evaluateSubmit(state, payload, now);
    if (judgement.verdict === 'accept')
      for (const callId of judgement.callIds)
        accepted.push({
          callId,
          digest: answerDigest({ call_id: callId, output }),
          output,
          round: state.round,
        });
    feed({ type: 'submit', payload, at: now });
  };

  feed({ type: 'start', at: now });

  for (const decision of world.decisions) {
    if (finish !== null) break;
    const choice = Math.floor(decision / 12);
    switch (decision % 12) {
      case 0:
      case 1:
        finishOp(0);
        break;
      case 2:
        // A failure ends most runs early, so it is rarer; a round answered by somebody else is what makes a follow hard.
        finishOp(state.op?.kind === 'follow' ? 2 : choice % 4 === 0 ? 1 + (choice % 8 === 0 ? 1 : 0) : 0);
        break;
      case 3:
      case 4: {
        const callId = [...tools][choice % Math.max(1, tools.size)];
        if (callId === undefined) break;
        tools.delete(callId);
        const edited = state.calls.find((item) => item.callId === callId)?.editedArguments !== undefined;
        if (edited && choice % 2 === 0) {
          ranOnce.delete(`${state.round}:${callId}`);
          // The call is decided anew; its decision so far is reported as unused.
          const before = accepted.find((item) => item.callId === callId && item.round === state.round);
          if (before !== undefined) before.round = -accepted.length;
          const outcome = { output: '', ok: false, refusedEdit: 'the tool knows better' };
          feed({ type: 'callDone', callId, outcome, at: now });
          break;
        }
        feed(
          choice % 3 === 0
            ? {
                type: 'callFailed',
                callId,
                failure: { kind: 'timeout', type: '', message: '', timeout: 'heartbeat' },
                at: now,
              }
            : { type: 'callDone', callId, outcome: { output: `did ${callId}`, ok: true }, at: now },
        );
        break;
      }
      case 5:
      case 6:
      case 7:
        say(choice);
        break;
      case 8:
        submitAll(choice % 2 === 0 ? 'one' : 'two');
        break;
      case 9:
        // Timers may be late, never early.
        now += (choice % 5) * 120_000;
        if (timer !== null && now >= timer && choice % 3 !== 0) {
          timer = null;
          feed({ type: 'deadline', at: now });
        }
        break;
      case 10:
        if (choice % 12 === 0) {
          cancelled = true;
          feed({ type: 'cancelRequested', at: now });
        } else {
          // Stragglers of work that was told to stop.
          feed({ type: 'callDone', callId: 'call_unknown', outcome: { output: 'late', ok: true }, at: now });
        }
        break;
      default: {
        const key = [...tasks][0];
        if (key === undefined) break;
        tasks.delete(key);
        feed({ type: 'taskDone', key, at: now });
      }
    }
  }

  // Faults stop: operations land, tools finish, timers fire, and in the end somebody answers.
  for (let turn = 0; turn <= MOST_STEPS; turn += 1) {
    if (finish !== null) break;
    const tool = [...tools][0];
    if (doing !== null) finishOp(0);
    else if (tool !== undefined) {
      tools.delete(tool);
      feed({ type: 'callDone', callId: tool, outcome: { output: `did ${tool}`, ok: true }, at: now });
    } else if (timer !== null && turn < 50) {
      now = Math.max(now, timer);
      timer = null;
      feed({ type: 'deadline', at: now });
    } else {
      const call = state.calls.find((item) => item.status === 'waiting');
      if (call === undefined)
        throw new Error(`Nothing is in flight and nobody is awaited: ${JSON.stringify(state)}`);
      const last = `last_${turn}`;
      const source: AnswerSource = { door: 'http', keyName: last, groups: ['leads'] };
      const payload =
        call.plan.kind === 'approval'
          ? { call_id: call.callId, decision: 'deny' as const }
          : { call_id: call.callId, output: 'last' };
      const judgement = evaluateAnswer(state, payload, now, source);
      if (judgement.verdict === 'accept' && judgement.cast !== undefined) votes += 1;
      if (judgement.verdict === 'accept' && judgement.cast?.entry.undecided !== true)
        accepted.push({
          callId: call.callId,
          digest: answerDigest(payload),
          output: payload.output ?? null,
          round: state.round,
        });
      feed({ type: 'answer', payload, source, at: now });
    }
  }

  must(finish !== null, 'the run does not end');
  const { result, cancelled: asCancelled } = finish as { result: RunResult; cancelled: boolean };
  must(doing === null && tools.size === 0 && timer === null && !waiting, 'something in flight after the end');
  must(!asCancelled || cancelled, 'cancelled without having been asked');

  // Every acknowledged answer was taken by the server, handed over, or is reported as unused.
  for (const answer of accepted) {
    const outputs = taken.get(answer.round);
    const used =
      outputs !== undefined && (answer.output === null || outputs.get(answer.callId) === answer.output);
    const reported = result.unusedAnswers.some(
      ({ callId, reason }) => callId === answer.callId && TAKEN_IN_VAIN.includes(reason),
    );
    must(used || reported || handedOver.has(answer.callId), `an answer lost: ${JSON.stringify(answer)}`);
  }
  // The first answer stands: nothing is accepted twice within a round.
  const keys = accepted.map(({ callId, round }) => `${round}:${callId}`);
  same(new Set(keys).size, keys.length);
  // Every vote, hand-over, reminder and escalation is an entry of the record, each with a number of its own.
  const entries = (state.decisions ?? []).filter(({ entry }) => entry !== undefined);
  const notices = entries.filter(({ door }) => door === 'workflow');
  same(
    entries.filter(({ door, refusedEdit }) => door !== 'workflow' && refusedEdit === undefined).length,
    votes,
  );
  const numbers = entries.map(({ round, callId, entry }) => `${round}:${callId}:${entry}`);
  same(new Set(numbers).size, numbers.length);
  return {
    result,
    inputs,
    taken: taken.size,
    accepted: accepted.length,
    handedOver: handedOver.size,
    votes,
    agreed,
    denied,
    notices: notices.length,
  };
};
