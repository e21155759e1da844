/**
 * Update handlers, update validators and signal handlers of a run.
 *
 * Rule: an update is evaluated again after its validator, since another message of the same task may have changed the state;
 * the machine evaluates a third time, because signals and simulated inputs reach it without a handler. All three call
 * `evaluateAnswer` or `evaluateSubmit`. Nothing here blocks.
 * Knows no SDK. `workflow.ts`, the follow-up workflow and the simulation import it.
 */
import type { AnswerSource } from '../../protocol/decisions.ts';
import type { AnswerReply, RunInput, SubmitPayload, SubmitReply } from '../../protocol/temporal/messages.ts';
import type { Driver } from './driver.ts';
import { evaluateAnswer } from './evaluate-answer.ts';
import type { AnswerEvaluation } from './evaluate-answer.ts';
import type { AnswerRejection } from './answer-checks.ts';
import { evaluateSubmit } from './evaluate-submit.ts';
import { waitingCalls } from './state.ts';

/** A signal carries no checked sender. */
export const SIGNAL_SOURCE: AnswerSource = { door: 'temporal_signal' };

export interface MessageRuntime {
  now: () => number;
  patched: (change: string) => boolean;
  /** The error that the sender of an update receives. */
  rejection: (reason: AnswerRejection) => Error;
}

export interface MessageHandlers {
  validateAnswer(payload: unknown, source: AnswerSource): void;
  answer(payload: unknown, source: AnswerSource): AnswerReply;
  validateSubmit(payload: unknown): void;
  submit(payload: SubmitPayload, source: AnswerSource): SubmitReply;
  signal(payload: unknown): void;
}

type Usable<Evaluation> = Exclude<Evaluation, AnswerRejection>;

/** The reply to an answer that was accepted or repeated; `waiting` are the calls that wait after it. */
export const answerReply = (
  runId: string,
  evaluation: Usable<AnswerEvaluation>,
  waiting: readonly { callId: string }[],
): AnswerReply => {
  const { verdict, notes, payload } = evaluation;
  return {
    run_id: runId,
    call_id: payload.call_id,
    result: verdict === 'accept' ? 'accepted' : 'repeated',
    ...(notes.length === 0 ? {} : { notes }),
    ...(verdict === 'accept' && evaluation.late ? { late: true } : {}),
    ...(verdict === 'accept' && evaluation.cast?.outcome.kind === 'undecided'
      ? { votes_needed: evaluation.cast.outcome.needed }
      : {}),
    waiting: waiting.map(({ callId }) => callId),
  };
};

export const createMessageHandlers = (
  { runId, backend }: RunInput,
  driver: Driver,
  { now, patched, rejection }: MessageRuntime,
): MessageHandlers => {
  const usable = <Evaluation extends AnswerRejection | { verdict: 'accept' | 'repeat' }>(
    evaluation: Evaluation,
  ): Usable<Evaluation> => {
    if (evaluation.verdict === 'refuse') throw rejection(evaluation);
    return evaluation as Usable<Evaluation>;
  };
  const evaluate = (payload: unknown, source: AnswerSource): AnswerEvaluation =>
    evaluateAnswer(driver.state(), payload, now(), source);
  /** `patched` is called for accepted decisions alone: each call leaves a marker in history. */
  const recordsDecision = (evaluation: AnswerEvaluation): boolean =>
    backend === 'chat' &&
    evaluation.verdict === 'accept' &&
    evaluation.payload.decision !== undefined &&
    patched('decisions-in-store');
  const dispatch = (payload: unknown, source: AnswerSource, evaluation: AnswerEvaluation): void => {
    const records = recordsDecision(evaluation);
    driver.dispatch({ type: 'answer', payload, source, records, at: now() });
  };

  return {
    validateAnswer: (payload, source) => void usable(evaluate(payload, source)),
    answer(payload, source) {
      const evaluation = usable(evaluate(payload, source));
      dispatch(payload, source, evaluation);
      return answerReply(runId, evaluation, waitingCalls(driver.state()));
    },
    validateSubmit: (payload) => void usable(evaluateSubmit(driver.state(), payload, now())),
    submit(payload, source) {
      const { verdict, round } = usable(evaluateSubmit(driver.state(), payload, now()));
      driver.dispatch({ type: 'submit', payload, source, at: now() });
      return { run_id: runId, round, result: verdict === 'accept' ? 'accepted' : 'repeated' };
    },
    signal: (payload) => dispatch(payload, SIGNAL_SOURCE, evaluate(payload, SIGNAL_SOURCE)),
  };
};
