/**
 * The reference page of `submit_tool_outputs`: the bodies of its two commands, its JSON answer, and its stream.
 * As printed there, except for one brace too many at the end of the three run events, which made them invalid JSON, and for
 * `instructions`, printed as null where the API's schema says a string.
 */
export const COMMAND_BODY = `{
"tool_outputs": [
{
"tool_call_id": "call_001",
"output": "70 degrees and sunny."
}
]
}`;

export const STREAM_COMMAND_BODY = `{
"tool_outputs": [
{
"tool_call_id": "call_001",
"output": "70 degrees and sunny."
}
],
"stream": true
}`;

const TOOLS = [
  {
    type: 'function',
    function: {
      name: 'get_current_weather',
      description: 'Get the current weather in a given location',
      parameters: {
        type: 'object',
        properties: {
          location: { type: 'string', description: 'The city and state, e.g. San Francisco, CA' },
          unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
        },
        required: ['location'],
      },
    },
  },
];

/** The page's answer to the command without `stream`. */
export const ANSWER = {
  id: 'run_123',
  object: 'thread.run',
  created_at: 1699075592,
  assistant_id: 'asst_123',
  thread_id: 'thread_123',
  status: 'queued',
  started_at: 1699075592,
  expires_at: 1699076192,
  cancelled_at: null,
  failed_at: null,
  completed_at: null,
  last_error: null,
  model: 'gpt-4o',
  instructions: '',
  tools: TOOLS,
  metadata: {},
  usage: null,
  temperature: 1.0,
  top_p: 1.0,
  max_prompt_tokens: 1000,
  max_completion_tokens: 1000,
  truncation_strategy: { type: 'auto', last_messages: null },
  response_format: 'auto',
  tool_choice: 'auto',
  parallel_tool_calls: true,
};

const STEP = {
  object: 'thread.run.step',
  run_id: 'run_123',
  assistant_id: 'asst_123',
  thread_id: 'thread_123',
  cancelled_at: null,
  failed_at: null,
  last_error: null,
  expires_at: 1710353047,
};
const RUN = {
  id: 'run_123',
  object: 'thread.run',
  created_at: 1710352447,
  assistant_id: 'asst_123',
  thread_id: 'thread_123',
  cancelled_at: null,
  failed_at: null,
  required_action: null,
  last_error: null,
  model: 'gpt-4o',
  instructions: '',
  tools: TOOLS,
  metadata: {},
  temperature: 1.0,
  top_p: 1.0,
  max_completion_tokens: null,
  max_prompt_tokens: null,
  truncation_strategy: { type: 'auto', last_messages: null },
  incomplete_details: null,
  response_format: 'auto',
  tool_choice: 'auto',
  parallel_tool_calls: true,
};
const MESSAGE_STEP = {
  ...STEP,
  id: 'step_002',
  created_at: 1710352476,
  type: 'message_creation',
  status: 'in_progress',
  completed_at: null,
  step_details: { type: 'message_creation', message_creation: { message_id: 'msg_002' } },
  usage: null,
};
const MESSAGE = {
  id: 'msg_002',
  object: 'thread.message',
  created_at: 1710352476,
  assistant_id: 'asst_123',
  thread_id: 'thread_123',
  run_id: 'run_123',
  status: 'in_progress',
  incomplete_details: null,
  incomplete_at: null,
  completed_at: null,
  role: 'assistant',
  content: [],
  metadata: {},
};
const text = (value: Record<string, unknown>): unknown => ({
  id: 'msg_002',
  object: 'thread.message.delta',
  delta: { content: [{ index: 0, type: 'text', text: value }] },
});

/** The page's stream. Between the first three deltas and the last two it prints an ellipsis. */
export const EVENTS: [event: string, data: Record<string, unknown>][] = [
  [
    'thread.run.step.completed',
    {
      ...STEP,
      id: 'step_001',
      created_at: 1710352449,
      type: 'tool_calls',
      status: 'completed',
      completed_at: 1710352475,
      step_details: {
        type: 'tool_calls',
        tool_calls: [
          {
            id: 'call_iWr0kQ2EaYMaxNdl0v3KYkx7',
            type: 'function',
            function: {
              name: 'get_current_weather',
              arguments: '{"location":"San Francisco, CA","unit":"fahrenheit"}',
              output: '70 degrees and sunny.',
            },
          },
        ],
      },
      usage: { prompt_tokens: 291, completion_tokens: 24, total_tokens: 315 },
    },
  ],
  [
    'thread.run.queued',
    {
      ...RUN,
      status: 'queued',
      started_at: 1710352448,
      expires_at: 1710353047,
      completed_at: null,
      usage: null,
    },
  ],
  [
    'thread.run.in_progress',
    {
      ...RUN,
      status: 'in_progress',
      started_at: 1710352475,
      expires_at: 1710353047,
      completed_at: null,
      usage: null,
    },
  ],
  ['thread.run.step.created', MESSAGE_STEP],
  ['thread.run.step.in_progress', MESSAGE_STEP],
  ['thread.message.created', MESSAGE],
  ['thread.message.in_progress', MESSAGE],
  ['thread.message.delta', text({ value: 'The', annotations: [] }) as Record<string, unknown>],
  ['thread.message.delta', text({ value: ' current' }) as Record<string, unknown>],
  ['thread.message.delta', text({ value: ' weather' }) as Record<string, unknown>],
  ['thread.message.delta', text({ value: ' sunny' }) as Record<string, unknown>],
  ['thread.message.delta', text({ value: '.' }) as Record<string, unknown>],
  [
    'thread.message.completed',
    {
      ...MESSAGE,
      status: 'completed',
      completed_at: 1710352477,
      content: [
        {
          type: 'text',
          text: {
            value: 'The current weather in San Francisco, CA is 70 degrees Fahrenheit and sunny.',
            annotations: [],
          },
        },
      ],
    },
  ],
  [
    'thread.run.step.completed',
    {
      ...MESSAGE_STEP,
      status: 'completed',
      completed_at: 1710352477,
      usage: { prompt_tokens: 329, completion_tokens: 18, total_tokens: 347 },
    },
  ],
  [
    'thread.run.completed',
    {
      ...RUN,
      status: 'completed',
      started_at: 1710352475,
      expires_at: null,
      completed_at: 1710352477,
      usage: { prompt_tokens: 20, completion_tokens: 11, total_tokens: 31 },
    },
  ],
];
