/**
 * What a run did, in order of time: our extension of the wire.
 *
 * Rule: as in `objects.ts`, every field is there, `null` included. Times are unix milliseconds, and their names end with
 * `_ms`: the parts of a run are shorter than a second. Any room may import it.
 */
import type { RunDecision } from './decisions.ts';
import type { Message, Run, RunStatus, RunStep, WireUsage } from './objects.ts';

/** Why an attempt ended without a result. */
export interface TimelineFailure {
  /** Type of the failure, such as `BackendUnavailable`; null = it has none. */
  type: string | null;
  /** What the worker reported; null = the reader may not read it, or the worker reported nothing. */
  message: string | null;
}

interface TimelineSpan {
  /** Unique within the timeline, and the same in later readings of it. */
  id: string;
  start_ms: number;
  /** null = it goes on. Equal to `start_ms` where the entry is a moment. */
  end_ms: number | null;
  /** Number of the round of calls that it belongs to; null = to none. */
  round: number | null;
  /** `store`: times come from the rows of the run, which know some of them by the step of their round only. */
  source: 'history' | 'store';
}

interface TimelineState {
  kind: 'state';
  status: RunStatus;
}
interface TimelineTurn {
  kind: 'turn';
  /** The model that answered; null = not known. */
  model: string | null;
  /** Another model than the run's answered. */
  fallback: boolean;
  usage: WireUsage | null;
  finish_reason: 'stop' | 'tool_calls' | 'length' | 'content_filter' | null;
  outcome: 'running' | 'ok' | 'failed';
  /** null = the history that counts them is not there. */
  attempts: number | null;
  /** Of the attempt before the last one, or of the last one when the turn failed. */
  failure: TimelineFailure | null;
  /** When Temporal starts the next attempt; null = an attempt is under way, or the turn has ended. */
  next_attempt_at_ms: number | null;
}
interface TimelineTool {
  kind: 'tool';
  call_id: string;
  tool: string;
  outcome: 'running' | 'ok' | 'failed' | 'cancelled';
  attempts: number | null;
  failure: TimelineFailure | null;
  next_attempt_at_ms: number | null;
  /** At most 4,000 characters, of a longer text the first; null = the reader may not read them. */
  arguments: string | null;
  output: string | null;
}
interface TimelineWait {
  kind: 'wait';
  call_id: string;
  tool: string;
  /** `approval`: a person decides. `output`: the API's caller sends the output. */
  waits_for: 'approval' | 'output';
  on_deadline: 'fail' | 'placeholder' | 'follow-up';
  /** null = as long as the run lives. */
  answer_by_ms: number | null;
  outcome: 'waiting' | 'decided' | 'answered' | 'expired' | 'cancelled';
  arguments: string | null;
  output: string | null;
}
interface TimelineDecision {
  kind: 'decision';
  call_id: string;
  tool: string;
  /** As in `RunDecision`: votes, hand-overs, reminders, escalations and comments, too. */
  decision: RunDecision['decision'];
  by: string | null;
  verified: boolean;
  door: RunDecision['door'];
  edited: boolean;
  late: boolean;
  /** It left the call undecided: a vote that needs others, or an entry that is no vote. */
  undecided: boolean;
  /** The person who handed this vote over. */
  in_place_of: string | null;
  /** Of `delegate` and `escalate`: who may decide from then on. */
  to: { people: string[]; groups: string[] } | null;
  reason: string | null;
  /** What the sender wrote for people, such as the text of a `comment`; the model does not read it. */
  note: string | null;
  /** Why the decision was refused and changed nothing; null = it counts. */
  refused: string | null;
}
interface TimelineTimer {
  kind: 'timer';
  /** What the workflow calls it, such as `deadline`. */
  name: string;
  fires_at_ms: number;
  outcome: 'armed' | 'fired' | 'cancelled';
}
interface TimelineMessage {
  kind: 'message';
  /** Name of the update or signal that the workflow received. */
  name: string;
  form: 'update' | 'signal';
}
interface TimelineContinued {
  kind: 'continued';
}

/** A part of a run: a span of time, or a moment. */
export type TimelineEntry = TimelineSpan &
  (
    | TimelineState
    | TimelineTurn
    | TimelineTool
    | TimelineWait
    | TimelineDecision
    | TimelineTimer
    | TimelineMessage
    | TimelineContinued
  );

/**
 * What the entries have from Temporal's history. `read`: all that it tells. `cut`: its first events. `gone`: it is no longer
 * kept. `unavailable`: Temporal did not answer. `encrypted`: this server can't decode its payloads.
 */
export type HistoryState = 'read' | 'cut' | 'gone' | 'unavailable' | 'encrypted';

/** Our extension: what a run did, in order of time. */
export interface RunTimeline {
  object: 'thread.run.timeline';
  run_id: string;
  thread_id: string;
  assistant_id: string;
  tenant: string;
  status: RunStatus;
  created_at_ms: number;
  started_at_ms: number | null;
  ended_at_ms: number | null;
  expires_at_ms: number | null;
  /** When this timeline was read: where entries that go on end for now. */
  read_at_ms: number;
  history: { state: HistoryState; note: string; workflow_id: string; executions: string[] };
  /** Entries were left out, since the run has more than a timeline holds. */
  truncated: boolean;
  entries: TimelineEntry[];
}

/** Our extension: all that the server keeps of one run. */
export interface RunExport {
  object: 'thread.run.export';
  exported_at: number;
  tenant: string;
  run: Run;
  steps: RunStep[];
  /** Of the run's thread, oldest first. */
  messages: Message[];
  decisions: RunDecision[];
  timeline: RunTimeline;
  usage: WireUsage | null;
  /** Lists that were cut, since they have more than an export holds. */
  truncated: ('steps' | 'messages' | 'decisions' | 'timeline')[];
}

/** A history as Temporal's command line and Web UI export it. */
export interface HistoryExport {
  events: unknown[];
}

/** The change to a status, as a list of one; `at` null = it has not happened, so none. */
export const stateEntry = (status: RunStatus, at: number | null): TimelineEntry[] =>
  at === null
    ? []
    : [
        {
          id: `state:${status}`,
          kind: 'state',
          status,
          start_ms: at,
          end_ms: at,
          round: null,
          source: 'store',
        },
      ];
