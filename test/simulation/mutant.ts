/**
 * A known way to break the system, so that the auditor can be seen to notice.
 *
 * Rule: a mutant changes one decision and nothing else. Only `test/simulation` imports it.
 */
import type { step } from '../../workflows/run/machine.ts';
import type { AssistantsServer } from './fast/assistants-server.ts';
import type { Attempt } from './fast/attempt.ts';
import type { NativeStore } from './fast/native-store.ts';
import type { ActivityOptions } from './temporal/types.ts';

export interface Mutant {
  machine?: typeof step;
  options?: (options: ActivityOptions, type: string) => ActivityOptions;
  attempt?: (
    attempt: Attempt,
    implementation: (attempt: Attempt) => Promise<unknown>,
    world: { server: AssistantsServer; store: NativeStore; runId: string },
  ) => Promise<unknown>;
}
