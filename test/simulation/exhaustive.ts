/**
 * Every order of events of small runs: breadth-first over run status × machine × what is in flight, with one fault.
 *
 * Rule: no chance here. Time is a handful of moments that matter; the server is its contract; a fault happens at most once,
 * anywhere. A state from which nothing can happen is an ended run, or a violation. Only `test/simulation` and tests import it.
 */
import type { Settled } from '../../protocol/ports/backend.ts';
import type { CallPlan, OnDeadline, PlannedCall } from '../../protocol/tool-calls.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { RunResult } from '../../protocol/temporal/messages.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import type { RunStatus } from '../../protocol/wire/objects.ts';
import { evaluateAnswer } from '../../workflows/run/evaluate-answer.ts';
import type { Effect, OpEffect } from '../../workflows/run/effects.ts';
import { step as realStep } from '../../workflows/run/machine.ts';
import { initialState } from '../../workflows/run/state.ts';
import type { Input, MachineState } from '../../workflows/run/state.ts';
import { stateKind } from './coverage.ts';

const T0 = 1_767_225_600_000;
const LIFE = 600_000;
/** Creation, inside the margin, the expiry, the moment of the server's verdict, long after. */
const MOMENTS = [T0, T0 + LIFE * 0.95, T0 + LIFE, T0 + LIFE + 1000, T0 + 2 * LIFE] as const;

export const FAULTS = [
  'the report of an operation is lost after it took effect',
  'an operation fails for good',
  'an operation has no time left for another attempt',
  'a tool fails',
  'somebody else answers the round',
  'somebody else cancels',
  'the execution goes on in a new one',
] as const;
export type FaultKind = (typeof FAULTS)[number];

export interface Setting {
  backend: 'assistants' | 'chat';
  /** Plans of the first round's calls. */
  plans: readonly CallPlan['kind'][];
  onDeadline: OnDeadline;
  rounds: number;
  ending: 'completed' | 'failed';
}

interface Node {
  machine: MachineState;
  moment: number;
  server: { status: RunStatus | null; round: number; taken: string[][] };
  ops: { effect: OpEffect; done: boolean }[];
  /** Told to stop, but still able to reach the server. */
  strays: OpEffect[];
  tools: string[];
  /** The armed timer. */
  due: number | null;
  /** Acts that are left. */
  acts: string[];
  fault: FaultKind | null;
  acknowledged: Record<string, string>;
  handedOver: string[];
  result: RunResult | null;
}

const PAST: readonly string[] = [
  'at',
  'unusable',
  'waitStart',
  'endBy',
  'startedAt',
  'about',
  'latest',
  'timer',
];

const POLICY = {
  maximumAttempts: 1,
  initialIntervalMs: 1000,
  backoffCoefficient: 2,
  maximumIntervalMs: 1000,
  startToCloseMs: 1000,
  heartbeatMs: null,
  atMostOnce: false,
};

const planned = (setting: Setting, round: number): PlannedCall[] =>
  (round === 1 ? setting.plans : (['automatic'] as const)).map((kind, index): PlannedCall => {
    const wait = { onDeadline: setting.onDeadline, answerWithinMs: null };
    const plan: CallPlan =
      kind === 'automatic'
        ? { kind, policy: POLICY }
        : kind === 'approval'
          ? { kind, policy: POLICY, wait }
          : kind === 'external'
            ? { kind, wait }
            : { kind, output: 'no such tool' };
    return { callId: `c${round}${index}`, name: kind, arguments: '{}', plan };
  });

const payloadOf = (act: string): unknown => {
  const [callId, say] = act.split(' ');
  return say === 'approve' || say === 'deny'
    ? { call_id: callId, decision: say }
    : { call_id: callId, output: say };
};

const actsOf = (setting: Setting): string[] => [
  ...setting.plans.flatMap((kind, index) =>
    kind === 'external'
      ? [`c1${index} x`, `c1${index} y`]
      : kind === 'approval'
        ? [`c1${index} approve`, `c1${index} deny`]
        : [],
  ),
  'cancel',
];

export interface Search {
  states: number;
  transitions: number;
  ends: Map<string, number>;
  violations: string[];
  /** Status of the server's run × what the machine does × the fault that there was or is: every meeting. */
  met: Set<string>;
}

export const search = (setting: Setting, step: typeof realStep = realStep, most = 200_000): Search => {
  const { backend } = setting;
  const native = backend === 'chat';
  const machine = initialState({
    runId: 'run_1',
    backend,
    assistantId: 'asst_1',
    threadId: 'thread_1',
    params: {},
    metadata: {},
    busy: 'fail',
    expiresAt: native ? T0 + LIFE : null,
    createdAt: native ? T0 : null,
    searchAttributes: true,
    hooks: { onWaiting: false, onEnd: false },
    settings: {},
  });
  const first: Node = {
    machine,
    moment: 0,
    server: { status: native ? 'queued' : null, round: 0, taken: [] },
    ops: [],
    strays: [],
    tools: [],
    due: null,
    acts: actsOf(setting),
    fault: null,
    acknowledged: {},
    handedOver: [],
    result: null,
  };
  const at = (node: Node): number => MOMENTS[node.moment] ?? T0;

  const settlement = (node: Node, taken: boolean): Settled => {
    const { status, round } = node.server;
    const run = { backendRunId: 'srv_1', threadId: 'thread_1' };
    if (status !== null && isTerminal(status)) return { status, run, outputsTaken: taken };
    return {
      status: 'requires_action',
      run,
      calls: planned(setting, round + 1),
      expiresAt: T0 + LIFE,
      createdAt: T0,
    };
  };

  /** Feeds the machine and carries its effects out. */
  const fed = (node: Node, input: Input): Node => {
    const next = step(node.machine, input);
    let after: Node = { ...node, machine: next.state };
    for (const effect of next.effects) after = carried(after, effect);
    return after;
  };
  const carried = (node: Node, effect: Effect): Node => {
    switch (effect.type) {
      case 'cancelOp': {
        const stopped = node.ops.filter((op) => op.effect.type === effect.via);
        // A create at somebody else's server is waited for; anything else is forgotten, and may still arrive.
        if (effect.via === 'create' && !native) return node;
        return {
          ...node,
          ops: node.ops.filter((op) => op.effect.type !== effect.via),
          strays: [...node.strays, ...stopped.filter((op) => !op.done).map((op) => op.effect)],
        };
      }
      case 'cancelTools':
        return { ...node, tools: node.tools.filter((callId) => !effect.callIds.includes(callId)) };
      case 'disarmTimer':
        return { ...node, due: null };
      case 'armTimer':
        return { ...node, due: effect.at };
      case 'runTool':
        return { ...node, tools: [...node.tools, effect.callId] };
      case 'finish':
        return { ...node, result: effect.result, ops: [], tools: [], due: null };
      case 'notifyWaiting':
      case 'recordAnswers':
      case 'recordDecision':
      case 'enterWait':
      case 'leaveWait':
        return node;
      default:
        return {
          ...node,
          ops: [...node.ops, { effect, done: false }],
          handedOver:
            effect.type === 'startFollowUp'
              ? [...node.handedOver, ...effect.calls.flatMap((call) => (call.given ? [call.callId] : []))]
              : node.handedOver,
        };
    }
  };

  /** What an operation does at the server: idempotent, as its contract promises. */
  const performed = (node: Node, effect: OpEffect): Node => {
    const { server } = node;
    switch (effect.type) {
      case 'create':
        return server.status === null || server.status === 'queued'
          ? { ...node, server: { ...server, status: 'in_progress' } }
          : node;
      case 'submit': {
        const ids = planned(setting, server.round + 1).map((call) => call.callId);
        const same = effect.outputs.every((output, index) => output.tool_call_id === ids[index]);
        if (server.status !== 'requires_action' || !same || effect.outputs.length !== ids.length) return node;
        return {
          ...node,
          server: {
            status: 'in_progress',
            round: server.round + 1,
            taken: [
              ...server.taken,
              effect.outputs.map((output) => `${output.tool_call_id}=${output.output}`),
            ],
          },
        };
      }
      case 'close':
        return server.status === null || isTerminal(server.status)
          ? node
          : {
              ...node,
              server: {
                ...server,
                status: native
                  ? ({ cancel: 'cancelled', expire: 'expired', fail: 'failed' } as const)[effect.how.kind]
                  : 'cancelling',
              },
            };
      default:
        return node;
    }
  };
  const reports = (node: Node, effect: OpEffect): Input[] => {
    const { status } = node.server;
    const now = at(node);
    const ready = status === 'requires_action' || (status !== null && isTerminal(status));
    switch (effect.type) {
      case 'create':
      case 'follow':
        return ready
          ? [{ type: 'settled', via: effect.type, settlement: settlement(node, false), at: now }]
          : [];
      case 'submit': {
        const taken =
          node.server.taken[effect.round - 1]?.[0] ===
          `${effect.outputs[0]?.tool_call_id}=${effect.outputs[0]?.output}`;
        const passed = node.server.round >= effect.round || (status !== null && isTerminal(status));
        return ready && passed
          ? [{ type: 'settled', via: 'submit', settlement: settlement(node, taken), at: now }]
          : [];
      }
      case 'close':
        if (status === null)
          return [{ type: 'settled', via: 'close', settlement: { status: 'cancelled', run: null }, at: now }];
        return isTerminal(status)
          ? [{ type: 'settled', via: 'close', settlement: settlement(node, false), at: now }]
          : [];
      case 'startFollowUp':
        return [{ type: 'followUpStarted', workflowId: 'run_1.follow-up', at: now }];
      case 'notifyEnd':
        return [{ type: 'endNotified', at: now }];
      default:
        return [];
    }
  };

  const neighbours = (node: Node): Node[] => {
    const found: Node[] = [];
    const now = at(node);
    const { server } = node;
    if (node.machine.startedAt === 0) return [fed(node, { type: 'start', at: now })];
    if (node.result !== null) return [];

    // The server goes on by itself.
    if (server.status === 'in_progress' && native && now >= T0 + LIFE)
      found.push({ ...node, server: { ...server, status: 'expired' } });
    else if (server.status === 'in_progress') {
      const open = server.round < setting.rounds;
      found.push({ ...node, server: { ...server, status: open ? 'requires_action' : setting.ending } });
    }
    if (server.status === 'cancelling') found.push({ ...node, server: { ...server, status: 'cancelled' } });
    if (!native && server.status !== null && !isTerminal(server.status) && now >= T0 + LIFE)
      found.push({ ...node, server: { ...server, status: 'expired' } });

    // Operations take effect, and report.
    for (const [index, op] of node.ops.entries()) {
      if (!op.done) {
        const ops = node.ops.map((other, place) => (place === index ? { ...other, done: true } : other));
        found.push(performed({ ...node, ops }, op.effect));
      } else
        for (const input of reports(node, op.effect))
          found.push(fed({ ...node, ops: node.ops.filter((_, place) => place !== index) }, input));
    }
    for (const [index, effect] of node.strays.entries())
      found.push(performed({ ...node, strays: node.strays.filter((_, place) => place !== index) }, effect));

    for (const callId of node.tools)
      found.push(
        fed(
          { ...node, tools: node.tools.filter((other) => other !== callId) },
          { type: 'callDone', callId, outcome: { output: 'ok', ok: true }, at: now },
        ),
      );

    // People, each act once.
    for (const act of node.acts) {
      const left = { ...node, acts: node.acts.filter((other) => other !== act) };
      if (act === 'cancel') {
        found.push(fed(left, { type: 'cancelRequested', at: now }));
        continue;
      }
      const payload = payloadOf(act);
      const judgement = evaluateAnswer(node.machine, payload, now);
      const callId = act.split(' ')[0] ?? '';
      const acknowledged =
        judgement.verdict === 'accept'
          ? { ...node.acknowledged, [callId]: act.split(' ')[1] ?? '' }
          : node.acknowledged;
      found.push(fed({ ...left, acknowledged }, { type: 'answer', payload, at: now }));
    }

    // Time: not past an armed timer, which fires first.
    if (node.due !== null && now >= node.due)
      found.push(fed({ ...node, due: null }, { type: 'deadline', at: now }));
    else if (node.moment < MOMENTS.length - 1) found.push({ ...node, moment: node.moment + 1 });

    if (node.fault === null) found.push(...faulty(node));
    return found;
  };

  const faulty = (node: Node): Node[] => {
    const found: Node[] = [];
    const now = at(node);
    for (const [index, op] of node.ops.entries()) {
      if (op.done)
        found.push({
          ...node,
          fault: FAULTS[0],
          ops: node.ops.map((other, place) => (place === index ? { ...other, done: false } : other)),
        });
      const { type } = op.effect;
      if (type === 'createThread') continue;
      if (native && (type === 'create' || type === 'submit'))
        found.push(
          fed(
            { ...node, fault: FAULTS[2], ops: node.ops.filter((_, place) => place !== index) },
            {
              type: 'activityFailed',
              via: type,
              failure: {
                kind: 'application',
                type: FAILURES.backendUnavailable,
                message: 'down',
                outOfTime: true,
              },
              at: now,
            },
          ),
        );
      found.push(
        fed(
          { ...node, fault: FAULTS[1], ops: node.ops.filter((_, place) => place !== index) },
          {
            type: 'activityFailed',
            via: type,
            failure: { kind: 'application', type: FAILURES.backendUnavailable, message: 'down' },
            at: now,
          },
        ),
      );
    }
    for (const callId of node.tools)
      found.push(
        fed(
          { ...node, fault: FAULTS[3], tools: node.tools.filter((other) => other !== callId) },
          {
            type: 'callFailed',
            callId,
            failure: { kind: 'application', type: FAILURES.toolFailed, message: 'broken' },
            at: now,
          },
        ),
      );
    if (!native && node.server.status === 'requires_action')
      found.push({
        ...node,
        fault: FAULTS[4],
        server: {
          status: 'in_progress',
          round: node.server.round + 1,
          taken: [
            ...node.server.taken,
            planned(setting, node.server.round + 1).map((call) => `${call.callId}=theirs`),
          ],
        },
      });
    if (
      !native &&
      node.server.status !== null &&
      !isTerminal(node.server.status) &&
      node.server.status !== 'cancelling'
    )
      found.push({ ...node, fault: FAULTS[5], server: { ...node.server, status: 'cancelling' } });
    if (node.ops.every((op) => !op.done) && node.tools.length === 0 && node.strays.length === 0) {
      // As the driver does it: with nothing begun, the next execution starts what the state says.
      const state = JSON.parse(JSON.stringify(node.machine)) as MachineState;
      found.push(
        fed({ ...node, fault: FAULTS[6], machine: state, ops: [], due: null }, { type: 'resume', at: now }),
      );
    }
    return found;
  };

  const problemsOf = (node: Node): string[] => {
    const { result, server } = node;
    const problems: string[] = [];
    if (node.ops.length > 1) problems.push(`${node.ops.length} operations are in flight at once`);
    const rounds = server.taken.map((outputs) => outputs.map((output) => output.split('=')[0]).join(' '));
    for (const [index, ids] of rounds.entries()) {
      const asked = planned(setting, index + 1).map(({ callId }) => callId);
      if (ids !== asked.join(' ')) problems.push(`round ${index + 1} was taken as ${ids}`);
    }
    if (result === null) return problems;
    const status = server.status ?? null;
    const failedOp = node.fault === FAULTS[1];
    const ours = node.machine.closing?.kind;
    const confirmed = status === 'cancelled' && (ours === 'fail' || ours === 'expire');
    if (status === null ? result.status === 'completed' : status !== result.status && !confirmed && !failedOp)
      problems.push(`the result is ${result.status}, the run is ${status}`);
    for (const [callId, said] of Object.entries(node.acknowledged)) {
      const taken = server.taken.flat().find((entry) => entry.startsWith(`${callId}=`));
      const used =
        taken !== undefined &&
        !taken.endsWith('=theirs') &&
        (taken.endsWith(`=${said}`) || said === 'approve' || said === 'deny');
      const reported = result.unusedAnswers.some((unused) => unused.callId === callId);
      if (!used && !reported && !node.handedOver.includes(callId))
        problems.push(`the answer ${said} to ${callId} was neither used nor reported`);
    }
    return problems;
  };

  const seen = new Set<string>();
  /** Two states that differ in the moments of the past only have the same future. */
  const key = (node: Node): string =>
    JSON.stringify(node, (name, value: unknown) => (PAST.includes(name) ? undefined : value));
  const report: Search = { states: 0, transitions: 0, ends: new Map(), violations: [], met: new Set() };
  let level: { node: Node; path: string[] }[] = [{ node: first, path: [] }];
  seen.add(key(first));
  while (level.length > 0 && report.violations.length === 0) {
    const next: typeof level = [];
    for (const { node, path } of level) {
      report.states += 1;
      report.met.add(
        `${node.server.status ?? 'no run'} | ${stateKind(node.machine)} | ${node.fault ?? 'no fault'}`,
      );
      const problems = problemsOf(node);
      const around = neighbours(node);
      if (around.length === 0 && node.result === null)
        problems.push('nothing can happen any more, and the run has not ended');
      if (node.result !== null)
        report.ends.set(node.result.status, (report.ends.get(node.result.status) ?? 0) + 1);
      if (problems.length > 0) {
        report.violations.push(`${problems.join('; ')}\nafter: ${path.join(' > ')}\n${key(node)}`);
        break;
      }
      for (const neighbour of around) {
        report.transitions += 1;
        const text = key(neighbour);
        if (seen.has(text)) continue;
        seen.add(text);
        next.push({
          node: neighbour,
          path: path.length < 60 ? [...path, difference(node, neighbour)] : path,
        });
      }
    }
    if (report.states > most) {
      report.violations.push(`more than ${most} states: the search was not finished`);
      break;
    }
    level = next;
  }
  return report;
};

/** What a transition did, in a few words: for the path to a violation. */
const difference = (before: Node, after: Node): string => {
  const words: string[] = [];
  if (after.fault !== before.fault) words.push(`FAULT ${after.fault}`);
  if (after.moment !== before.moment) words.push(`time ${after.moment}`);
  if (after.server.status !== before.server.status) words.push(`server ${after.server.status}`);
  const act = before.acts.find((item) => !after.acts.includes(item));
  if (act !== undefined) words.push(act);
  if (after.machine.op?.kind !== before.machine.op?.kind)
    words.push(`op ${after.machine.op?.kind ?? 'none'}`);
  if (after.tools.length !== before.tools.length) words.push(`tools ${after.tools.length}`);
  if (after.result !== null) words.push(`ended ${after.result.status}`);
  return words.join(', ') || 'effect';
};
