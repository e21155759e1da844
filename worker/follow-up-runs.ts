/**
 * Starts the run that carries a late answer, on an upstream runs API.
 *
 * Rule: idempotent by the new run's id; it waits until the thread is free, and never cancels another run.
 * Imported by the composition root.
 */
import type { FollowUpRunRequest } from '../activities/index.ts';
import type { RunsClient } from '../client/index.ts';
import { METADATA } from '../protocol/index.ts';

export const startFollowUpAssistantsRun = async (
  client: RunsClient,
  { newRunId, of, callId, message }: FollowUpRunRequest,
): Promise<{ runId: string }> => {
  const { runId } = await client.start({
    runId: newRunId,
    backend: 'assistants',
    assistantId: of.assistantId,
    threadId: of.threadId,
    params: { additional_messages: [{ role: 'user', content: message }] },
    metadata: { ...of.metadata, [METADATA.followUpOf]: of.runId },
    busy: 'wait',
    hooks: of.hooks,
    settings: of.settings,
    followUpOf: { runId: of.runId, callIds: [callId] },
  });
  return { runId };
};
