/**
 * The `last_error` of a run, as the API's caller reads it.
 *
 * Rule: one of the wire's three codes, and one plain sentence. The model server's address and words are for operators:
 * they are in the run's history and its result, never in the row.
 * Imported within `backends/chat/` and by tests.
 */
import type { LastError } from '../../protocol/ports/backend.ts';
import type { WireLastError } from '../../protocol/wire/objects.ts';

type Known = readonly [code: 'server_error' | 'rate_limit_exceeded' | 'invalid_prompt', message: string];

/** By the codes of `LastError`: reasons of attempts, failure types, and reasons for which the workflow ends a run. */
const SENTENCES: Readonly<Record<string, Known>> = {
  rate_limited: [
    'rate_limit_exceeded',
    'The model server refused the request: its rate limit or quota is used up.',
  ],
  rejected: ['invalid_prompt', 'The model server refused the prompt.'],
  no_images: ['invalid_prompt', 'The model does not accept images, and the thread has one.'],
  unauthorized: ['server_error', 'The model server refused the credentials of this server.'],
  unsupported: ['server_error', 'The model server cannot serve this model or request.'],
  unavailable: ['server_error', 'The model server could not answer.'],
  broken_off: ['server_error', 'The model server broke off its answer.'],
  backend_unavailable: ['server_error', 'A part of this server was not available.'],
  backend_conflict: ['server_error', 'Tool outputs of the run were submitted twice, differently.'],
  run_budget_spent: [
    'rate_limit_exceeded',
    'The run has used up the tokens or the money that this server allows one run.',
  ],
  day_budget_spent: ['rate_limit_exceeded', "The day's budget for tokens or money is used up."],
  no_price: ['server_error', 'The model has no price in the currency of max_cost.'],
  budget_exceeded: ['server_error', 'The run exceeded its limit of rounds or tool calls.'],
};

/** `model`: as the run names it; said where the error is about the model. */
export const shownError = (error: LastError, model: string | null = null): WireLastError => {
  if (error.code === 'no_images' && model !== null)
    return {
      code: 'invalid_prompt',
      message: `The model ${JSON.stringify(model)} does not accept images, and the thread has one. Use a model that can see, or delete the message.`,
    };
  const [code, message] = (Object.hasOwn(SENTENCES, error.code) ? SENTENCES[error.code] : undefined) ?? [
    'server_error',
    'The run could not be finished.',
  ];
  return { code, message };
};
