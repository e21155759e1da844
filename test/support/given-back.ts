/**
 * The second turn of a model that called `get_weather`, and the part of the first turn that it sends to the server.
 *
 * Rule: the provider's part of the first turn goes through JSON, as in the store. Tests of adapters only.
 */
import type { ModelMessage, ModelRequest, ProviderTurn } from '../../protocol/ports/model.ts';
import type { ModelServer } from './model-server.ts';
import { withTools, type CollectedTurn } from './model-turn.ts';

export const CALL_ID = 'call_abcdefghijklmnopqrstuvwx';
export const NINE_ALPHANUMERICS = /^[A-Za-z0-9]{9}$/;
export const WEATHER = '{"city":"Paris"}';

interface SentMessage {
  role: string;
  tool_call_id?: string;
  tool_calls?: { id: string }[];
}

/** The messages of one request to the server, in order, and the first of a role. */
export const sentMessages = (server: ModelServer, request: number) => {
  const messages = server.sent(request)['messages'] as SentMessage[];
  const first = (name: string) => messages.find(({ role }) => role === name);
  return { messages, assistant: first('assistant'), tool: first('tool') };
};

/** The request of the next turn, after the call of `turn` was answered. */
export const nextTurn = (turn: ProviderTurn | null, more: Partial<ModelRequest> = {}): ModelRequest => {
  const stored = turn === null ? null : (JSON.parse(JSON.stringify(turn)) as ProviderTurn);
  const messages: ModelMessage[] = [
    { role: 'user', content: [{ type: 'text', text: 'Weather?' }] },
    {
      role: 'assistant',
      text: '',
      calls: [{ callId: CALL_ID, name: 'get_weather', arguments: WEATHER }],
      providerTurn: stored,
    },
    { role: 'tool', callId: CALL_ID, name: 'get_weather', output: 'Sunny.' },
  ];
  return withTools({ messages, ...more });
};

/** The conversation after the only call of a turn was answered; what goes back has been stored and read again. */
export const weatherAnswered = ({ text, turn }: CollectedTurn): ModelMessage[] => [
  { role: 'user', content: [{ type: 'text', text: 'Weather?' }] },
  {
    role: 'assistant',
    text,
    calls: [{ callId: CALL_ID, name: 'get_weather', arguments: WEATHER }],
    providerTurn: JSON.parse(JSON.stringify(turn)) as ProviderTurn | null,
  },
  { role: 'tool', callId: CALL_ID, name: 'get_weather', output: 'Sunny.' },
];
