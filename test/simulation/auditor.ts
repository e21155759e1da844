/**
 * Checks a finished schedule against the promises (I1 to I12), from the evidence in the ledger and the truth at the server.
 *
 * Rule: it believes nobody: what was acknowledged comes from the clients, what was done from the tools, what is true from
 * the server or the store. What a level can't see is said in docs/contributing/faults.md. Only `test/simulation` imports it.
 */
import type { ToolOutput } from '../../protocol/wire/objects.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import type { RunStatus } from '../../protocol/wire/objects.ts';
import { ACTIVITIES } from '../../protocol/temporal/names.ts';
import { CHAT_CLOSE_START_TO_CLOSE_MS } from '../../workflows/run/timeouts.ts';
import type { Profile } from './faults.ts';
import { FINAL_FAULTS } from './faults.ts';
import type { Acknowledged, Ledger } from './ledger.ts';
import type { CallScript, Scenario } from './scenario.ts';
import { NO_TIME } from './temporal/activity.ts';
import type { Server } from './temporal/server.ts';

export interface TrueRun {
  id: string;
  status: RunStatus;
  accepted: readonly { round: number; outputs: readonly ToolOutput[]; by: string }[];
  /** Natively: when the row ended, and until when it was to live. */
  life?: { endedAt: number | null; expiresAt: number };
}

export interface Truth {
  /** Runs with our token, oldest first. */
  runs: readonly TrueRun[];
  rounds: readonly (readonly CallScript[])[];
}

export interface Evidence {
  ledger: Ledger;
  scenario: Scenario;
  truth: Truth;
  profile: Profile;
  injected: ReadonlyMap<string, number>;
  temporal: Server;
  /** Attempts begun. */
  attempts: number;
}

const total = (counts: Iterable<number>): number => {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
};

const shown = (value: unknown): string => JSON.stringify(value);

/** At most one run was made for the token. */
const oneRun = ({ ledger, truth }: Evidence): void => {
  if (truth.runs.length > 1 + ledger.unfencedCreates)
    ledger.violate(
      'I1',
      `${truth.runs.length} runs carry the token: ${truth.runs.map(({ id }) => id).join(', ')}`,
    );
};

const roundOf = (truth: Truth, callId: string | undefined): readonly CallScript[] | undefined =>
  truth.rounds.find((calls) => calls.some((call) => call.callId === callId));

/** Each round was asked for once, with all its calls, in order; and was taken once. */
const wholeRounds = ({ ledger, truth }: Evidence): void => {
  const rounds = new Set<number>();
  for (const { round, outputs } of ledger.submits) {
    if (rounds.has(round)) ledger.violate('I2', `round ${round} was given out to be submitted twice`);
    rounds.add(round);
    const got = outputs.map((output) => output.tool_call_id);
    // A stranger may have answered a round before we saw it: ours are then counted differently from the server's.
    const open = roundOf(truth, got[0])?.map(({ callId }) => callId) ?? [];
    if (shown(open) !== shown(got))
      ledger.violate('I2', `a round needs ${shown(open)} in this order; submitted were ${shown(got)}`);
  }
  for (const run of truth.runs) {
    const taken = new Set<number>();
    for (const { round, outputs, by } of run.accepted) {
      if (taken.has(round)) ledger.violate('I2', `round ${round} was taken twice`);
      taken.add(round);
      if (by === 'stranger') continue;
      const asked = ledger.submits.find(
        (submit) => submit.outputs[0]?.tool_call_id === outputs[0]?.tool_call_id,
      );
      const byApi = by === 'api' || by === 'record';
      for (const { tool_call_id: id, output } of outputs) {
        const wanted = asked?.outputs.find((item) => item.tool_call_id === id)?.output;
        if (wanted === undefined ? !byApi : wanted !== output)
          ledger.violate('I2', `call ${id} was taken as ${shown(output)}, submitted was ${shown(wanted)}`);
      }
    }
  }
};

/** Natively the expiry is ours: no round is submitted after it. */
const notAfterExpiry = ({ ledger }: Evidence): void => {
  for (const { round, at, expiresAt } of ledger.submits)
    if (expiresAt !== null && at >= expiresAt)
      ledger.violate('I3', `round ${round} was submitted ${at - expiresAt} ms after the expiry`);
};

/** A second for timers and the task that hears of them. */
const AFTER_EXPIRY_MS = 1_000;

/**
 * Natively the run ends with its expiry, unless a worker is hit or something still goes wrong at that moment. A close whose
 * attempt was lost is repeated after that attempt's time.
 */
const endsAtExpiry = ({ ledger, truth, profile, scenario }: Evidence): void => {
  if (profile.workers > 0 || profile.outageMs > 0) return;
  const bound = AFTER_EXPIRY_MS + scenario.closeMs + ledger.repeatedCloses * CHAT_CLOSE_START_TO_CLOSE_MS;
  for (const { life } of truth.runs) {
    if (life === undefined || ledger.startedAt + profile.untilMs >= life.expiresAt) continue;
    const late = (life.endedAt ?? Infinity) - life.expiresAt;
    if (late > bound) ledger.violate('I3', `the run ended ${late} ms after its expiry`);
  }
};

const keyedOnce = ({ ledger }: Evidence): void => {
  const keys = new Map<string, string>();
  for (const { callId, key } of ledger.tools.values()) {
    const other = keys.get(callId);
    if (other !== undefined)
      ledger.violate('I4', `call ${callId} ran under two keys, ${shown(other)} and ${shown(key)}`);
    keys.set(callId, key);
  }
  for (const tool of ledger.tools.values()) {
    if (tool.atMostOnce && tool.starts > 1)
      ledger.violate('I4', `the at-most-once call ${tool.callId} was started ${tool.starts} times`);
    if (tool.effects > 1) ledger.violate('I4', `call ${tool.callId} took effect ${tool.effects} times`);
  }
};

const truthTold = ({ ledger, truth, scenario, injected }: Evidence): void => {
  const { result } = ledger;
  if (result === null) return;
  const { status, backendRunId } = result.result;
  const run = truth.runs[0];
  const finals = FINAL_FAULTS.some((kind) => [...injected.keys()].some((key) => key.startsWith(kind)));
  if (run === undefined) {
    if (backendRunId !== null && scenario.backend === 'assistants')
      ledger.violate('I5', `the result names run ${shown(backendRunId)}, which was never created`);
    if (status === 'completed' || status === 'incomplete')
      ledger.violate('I5', `the result is ${status} without any run`);
    return;
  }
  if (!isTerminal(run.status)) {
    // Closing was tried for an hour in vain, or the server refuses us for good: nobody could know better.
    if (!ledger.closeFailed && !finals)
      ledger.violate('I5', `the result is ${status}, the run is still ${run.status}`);
    return;
  }
  if (run.status === status) return;
  const closing = ledger.last?.closing?.kind;
  // Our reason stands where the server merely confirms it by a cancel.
  if (run.status === 'cancelled' && (closing === 'fail' || closing === 'expire')) return;
  if (ledger.closeFailed || finals) return;
  ledger.violate('I5', `the result is ${status}, the run is ${run.status}`);
};

const isUsed = (ack: Acknowledged, { ledger, truth, scenario }: Evidence): boolean => {
  const taken = truth.runs.flatMap((run) => run.accepted.filter(({ by }) => by !== 'stranger'));
  const output = taken
    .flatMap(({ outputs }) => outputs)
    .find((item) => item.tool_call_id === ack.callId)?.output;
  if (output === undefined) return false;
  if (ack.kind === 'output') return output === ack.text || output.includes('[truncated');
  if (ack.kind === 'deny') return output.includes('denied');
  const tool = ledger.tools.get(`${scenario.runId}:${ack.callId}`);
  // Approved, and then there was no time left, or the tool gave an error: the model was told.
  return tool === undefined ? output.includes('error') : true;
};

/** Every acknowledged answer is in what the server took, handed over, or reported with a reason. */
const nothingLost = (evidence: Evidence): void => {
  const { ledger } = evidence;
  const result = ledger.result?.result;
  if (result === undefined) return;
  const byCall = new Map<string, Acknowledged>();
  for (const ack of ledger.acknowledged) {
    const first = byCall.get(ack.callId);
    if (first !== undefined && first.text !== ack.text)
      ledger.violate(
        'I6',
        `call ${ack.callId} had two different answers acknowledged: ${shown(first.text)} and ${shown(ack.text)}`,
      );
    byCall.set(ack.callId, ack);
  }
  for (const ack of byCall.values()) {
    const reported = result.unusedAnswers.some((unused) => unused.callId === ack.callId);
    if (isUsed(ack, evidence) || reported || ledger.handedOver.has(ack.callId)) continue;
    ledger.violate(
      'I6',
      `the acknowledged answer ${shown(ack.text)} to call ${ack.callId} was neither used nor reported`,
    );
  }
  const counted = ledger.last?.unusable.count ?? 0;
  if (counted < ledger.uselessSignals)
    ledger.violate('I6', `${ledger.uselessSignals} signals could not be of use, ${counted} were counted`);
  if (counted > ledger.signals)
    ledger.violate('I6', `${ledger.signals} signals came, ${counted} were counted as unusable`);
};

/** A handful of requests for each attempt and fault, and a reading every other second while a run is watched. */
const fewRequests = ({ ledger, profile, injected, attempts, temporal }: Evidence): void => {
  const asked = total(ledger.requests.values());
  const faults = total(injected.values());
  const watchedMs = (ledger.result?.at ?? ledger.now()) - ledger.startedAt;
  const bound = 4 * (12 * attempts + 8 * faults + 100) + watchedMs / 1_500;
  if (profile.outageMs === 0 && asked > bound)
    ledger.violate(
      'I9',
      `${asked} requests for ${attempts} attempts and ${faults} faults in ${watchedMs} ms, at most ${Math.round(bound)} are expected`,
    );
  if (temporal.events > 51_200 * temporal.executions)
    ledger.violate('I9', `${temporal.events} history events in ${temporal.executions} executions`);
};

/** What people see and what reminds us costs events only while somebody is awaited. */
const quietHistory = ({ ledger, truth, temporal }: Evidence): void => {
  const again = temporal.executions - 1;
  const awaited = truth.rounds.map((calls) => calls.filter(({ plan }) => 'wait' in plan).length);
  const waits = awaited.filter((count) => count > 0).length;
  const upserts = ledger.commands.get('upsert') ?? 0;
  if (upserts > 2 * waits + again)
    ledger.violate('I8', `${upserts} search-attribute upserts for ${waits} waits in ${again + 1} executions`);
  const timers = ledger.commands.get('timer') ?? 0;
  const looks = ledger.scheduled.get(ACTIVITIES.followRun) ?? 0;
  // A run whose next attempt would come too late waits for its expiry, in each execution anew.
  const outOfTime = ledger.felt.get(NO_TIME) ?? 0;
  const given = outOfTime === 0 ? 0 : outOfTime + again;
  const most = given + (waits === 0 ? 0 : 2 * total(awaited) + looks + again);
  if (timers > most)
    ledger.violate('I8', `${timers} timers for ${total(awaited)} awaited calls and ${looks} looks`);
};

/** Without faults and messages, the history is exactly as long as the formula says: 11 + 6r + 3k + 3W. */
const exactHistory = ({ ledger, profile, injected, temporal }: Evidence): void => {
  if (profile.name !== 'calm' || injected.size > 0 || ledger.felt.size > 0 || temporal.executions !== 1)
    return;
  if (ledger.messages > 0 || (ledger.commands.get('upsert') ?? 0) > 0 || ledger.stops > 0) return;
  const tools = [...ledger.scheduled]
    .filter(([type]) => type.startsWith('tool.'))
    .reduce((sum, [, n]) => sum + n, 0);
  const rounds = ledger.submits.length;
  const plain = (ledger.scheduled.get(ACTIVITIES.createRun) ?? 0) + rounds + tools;
  if (plain !== total(ledger.scheduled.values())) return;
  // Tasks beside the first one and those that a settlement wakes.
  const wakes = temporal.tasks - 2 - rounds;
  const expected = 11 + 6 * rounds + 3 * tools + 3 * wakes;
  if (temporal.events !== expected)
    ledger.violate(
      'I8',
      `${temporal.events} history events, the formula gives ${expected} for ${tools} calls in ${rounds} rounds with ${wakes} wakes`,
    );
};

const cameToRest = ({ ledger, temporal }: Evidence): void => {
  if (temporal.openActivities().length > 0 || temporal.openTimers() > 0)
    ledger.violate(
      'I12',
      `${temporal.openActivities().length} activities and ${temporal.openTimers()} timers are left after the end`,
    );
};

export const audit = (evidence: Evidence): void => {
  const { ledger } = evidence;
  if (ledger.result === null) {
    ledger.violate('I11', 'the run has not ended');
    return;
  }
  oneRun(evidence);
  wholeRounds(evidence);
  notAfterExpiry(evidence);
  endsAtExpiry(evidence);
  keyedOnce(evidence);
  truthTold(evidence);
  nothingLost(evidence);
  fewRequests(evidence);
  exactHistory(evidence);
  quietHistory(evidence);
  cameToRest(evidence);
};
