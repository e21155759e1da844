/**
 * Named places at which a worker process of a drill strikes itself down, and the text that says when.
 *
 * Rule: the text is read once, where a drill's process is composed; production has no such places, since they sit in
 * wrappers around its ports. A count is per process: the successor of a killed worker starts at one again.
 */
import type { TurnStore } from '../../protocol/ports/turn-store.ts';

/** `kill` = SIGKILL, `stop` = SIGSTOP, both to the process itself: nothing after it runs, no handler, no flush. */
export type FaultAction = 'kill' | 'stop';

export interface PlannedFault {
  point: FaultPoint;
  /** The n-th time that the process passes the point, from 1. */
  occurrence: number;
  action: FaultAction;
}

/** What a backend attempt passes, in the order in which it does. The number is the row of docs/contributing/faults.md. */
const BACKEND_POINTS = {
  /** Right before a request or a store write that changes something: 1, 6, 7. */
  writing: 'before the write leaves',
  /** The head of the answer to a POST has come, nothing of it was used: 2, 6, 7. */
  answered: 'the server has done it, nobody here knows',
  /** Between two readings, or while a stream is being read: 4. */
  following: 'while the run is followed',
  /** The settlement is known, Temporal has not heard of it: 3, 6, 7. */
  settled: 'before the activity reports',
} as const;
export const BACKEND_OPS = ['create', 'submit', 'follow', 'close'] as const;
export type BackendOp = (typeof BACKEND_OPS)[number];
export type BackendPoint = keyof typeof BACKEND_POINTS;

/** 5: before a tool's effect, in the middle of it, after it and before anybody was told. */
export const TOOL_POINTS = ['starting', 'effecting', 'effected'] as const;

export const STORE_METHODS = [
  'claim',
  'readContext',
  'openMessage',
  'openCalls',
  'appendDeltas',
  'settleTurn',
  'acceptOutputs',
  'closeRun',
] as const satisfies readonly (keyof TurnStore)[];
export type StoreMethod = (typeof STORE_METHODS)[number];

export type FaultPoint =
  | `${BackendOp}.${BackendPoint}`
  | `tool.${(typeof TOOL_POINTS)[number]}`
  | `store.${StoreMethod}.${'before' | 'after'}`;

/** Following writes nothing. */
const READ_ONLY: readonly FaultPoint[] = ['follow.writing', 'follow.answered'];

export const ASSISTANTS_POINTS: readonly FaultPoint[] = [
  ...BACKEND_OPS.flatMap((op) =>
    (Object.keys(BACKEND_POINTS) as BackendPoint[]).map((point): FaultPoint => `${op}.${point}`),
  ).filter((point) => !READ_ONLY.includes(point)),
  ...TOOL_POINTS.map((point): FaultPoint => `tool.${point}`),
];
export const STORE_POINTS: readonly FaultPoint[] = STORE_METHODS.flatMap((method) => [
  `store.${method}.before` as const,
  `store.${method}.after` as const,
]);

const isPoint = (text: string): text is FaultPoint =>
  [...ASSISTANTS_POINTS, ...STORE_POINTS].some((point) => point === text);

/** `create.writing:1:kill,tool.effected:2:stop`; the action is `kill` when it is left out. */
export const parseFaults = (text: string): PlannedFault[] =>
  text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [point = '', count = '1', action = 'kill'] = part.split(':');
      const occurrence = Number(count);
      if (!isPoint(point) || !Number.isInteger(occurrence) || occurrence < 1 || !isAction(action))
        throw new RangeError(
          `A planned fault is "point:occurrence:kill|stop"; got ${JSON.stringify(part)}. Points: ${[...ASSISTANTS_POINTS, ...STORE_POINTS].join(', ')}.`,
        );
      return { point, occurrence, action };
    });

const isAction = (text: string): text is FaultAction => text === 'kill' || text === 'stop';

export const faultsText = (faults: readonly PlannedFault[]): string =>
  faults.map(({ point, occurrence, action }) => `${point}:${occurrence}:${action}`).join(',');

export interface Faults {
  /** Passes a point; does not return when it was the last thing this process did. */
  at(point: FaultPoint): void;
}

export const createFaults = (
  planned: readonly PlannedFault[],
  strike: (fault: PlannedFault) => void,
): Faults => {
  const passed = new Map<FaultPoint, number>();
  return {
    at(point) {
      const count = (passed.get(point) ?? 0) + 1;
      passed.set(point, count);
      const due = planned.find((fault) => fault.point === point && fault.occurrence === count);
      if (due !== undefined) strike(due);
    },
  };
};

export const noFaults: Faults = { at() {} };
