/**
 * The objects of the reference page of `submit_tool_outputs`, on demand: `thread_123`, and `run_123` waiting for
 * `call_001`. The page's two curl commands work against them as printed, host aside.
 *
 * Rule: only what the page shows. Calling it again starts over. Imports the engine's records.
 */
import type { ManualClock } from './clock.ts';
import type { SandboxEngine } from './assistants-server/engine.ts';
import { append } from './assistants-server/log.ts';
import { newMessage, newRun } from './assistants-server/records.ts';
import type { RunRecord, ThreadRecord } from './assistants-server/records.ts';
import { toRun } from './assistants-server/views.ts';
import { WEATHER_TOOL } from './scripts.ts';

const ANSWER = 'The current weather in San Francisco, CA is 70 degrees Fahrenheit and sunny.';

export interface ReferencePage {
  threadId: 'thread_123';
  runId: 'run_123';
  callId: 'call_001';
}

export const seedReferencePage = (
  engine: SandboxEngine,
  clock: ManualClock,
  options: { tenant?: string; lifetimeMs?: number } = {},
): ReferencePage => {
  const { tenant = 'default', lifetimeMs = 600_000 } = options;
  const now = clock.now();
  const thread: ThreadRecord = {
    tenant,
    id: 'thread_123',
    createdAt: now,
    metadata: {},
    messages: [
      newMessage('msg_001', now, { role: 'user', content: "What's the weather in San Francisco today?" }),
    ],
    runs: [],
    active: null,
  };
  const open = {
    id: 'step_001',
    createdAt: now,
    status: 'in_progress' as const,
    endedAt: null,
    lastError: null,
    usage: { prompt_tokens: 291, completion_tokens: 24, total_tokens: 315 },
    details: {
      calls: [
        {
          id: 'call_001',
          name: 'get_current_weather',
          arguments: '{"location":"San Francisco, CA","unit":"fahrenheit"}',
          output: null,
        },
      ],
    },
  };
  const run: RunRecord = {
    ...newRun({
      tenant,
      id: 'run_123',
      thread,
      params: { assistant_id: 'asst_123', max_prompt_tokens: 1000, max_completion_tokens: 1000 },
      model: 'gpt-4o',
      instructions: null,
      tools: [WEATHER_TOOL],
      metadata: {},
      script: {
        name: 'reference page',
        argument: null,
        entry: { about: 'the reference page', script: () => ({ text: ANSWER }) },
      },
      assistant: { id: 'asst_123', name: null, metadata: {} },
      createdAt: now,
      lifetimeMs,
    }),
    startedAt: now,
    status: 'requires_action',
    open,
    steps: [open],
  };
  thread.runs.push(run);
  thread.active = run;
  append(run, { event: 'thread.run.requires_action', data: toRun(run) });
  engine.adopt(thread);
  return { threadId: 'thread_123', runId: 'run_123', callId: 'call_001' };
};
