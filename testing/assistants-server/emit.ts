/**
 * Writes a run's events, and the small changes that belong to them.
 *
 * Rule: an event shows the record at that moment, so the record changes first. Only `testing/assistants-server/`
 * imports it.
 */
import { fromWireUsage, sumUsage } from '../../protocol/rules/usage.ts';
import type { WireUsage } from '../../protocol/wire/objects.ts';
import { append } from './log.ts';
import type { MessageRecord, RunRecord, StepRecord } from './records.ts';
import { toMessage, toRun, toRunStep } from './views.ts';

export const emitRun = (run: RunRecord, name: 'created' | RunRecord['status'] = run.status): void =>
  append(run, { event: `thread.run.${name}`, data: toRun(run) });

export const emitStep = (
  run: RunRecord,
  step: StepRecord,
  name: 'created' | StepRecord['status'] = step.status,
): void => append(run, { event: `thread.run.step.${name}`, data: toRunStep(step, run) });

export const emitMessage = (
  run: RunRecord,
  message: MessageRecord,
  name: 'created' | MessageRecord['status'] = message.status,
): void => append(run, { event: `thread.message.${name}`, data: toMessage(message, run.thread.id) });

/** A piece of text. The first one of a message carries its (empty) annotations. */
export const emitText = (run: RunRecord, messageId: string, value: string, first: boolean): void =>
  append(run, {
    event: 'thread.message.delta',
    data: {
      id: messageId,
      object: 'thread.message.delta',
      delta: { content: [{ index: 0, type: 'text', text: first ? { value, annotations: [] } : { value } }] },
    },
  });

/** The head of a call (id and name, once: clients concatenate), or a fragment of its arguments. */
export const emitCall = (
  run: RunRecord,
  stepId: string,
  index: number,
  part: { id: string; name: string } | { arguments: string },
): void =>
  append(run, {
    event: 'thread.run.step.delta',
    data: {
      id: stepId,
      object: 'thread.run.step.delta',
      delta: {
        step_details: {
          type: 'tool_calls',
          tool_calls: [
            'id' in part
              ? {
                  index,
                  type: 'function',
                  id: part.id,
                  function: { name: part.name, arguments: '', output: null },
                }
              : { index, type: 'function', function: { arguments: part.arguments } },
          ],
        },
      },
    },
  });

export const addUsage = (run: RunRecord, usage: WireUsage): void => {
  run.usage = sumUsage(run.usage, fromWireUsage(usage));
};

export const dropTimers = (run: RunRecord): void => {
  for (const cancel of run.timers) cancel();
  run.timers.clear();
};
