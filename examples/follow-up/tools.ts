import { defineTools } from 'durable-runs/worker';
import { z } from 'zod';

export default defineTools({
  ask_customer: {
    description: 'Asks the customer a question.',
    parameters: z.object({ question: z.string() }),
    // A person answers, so there is no execute.
    external: true,
    // After this time the model continues with a placeholder. A later answer starts a follow-up run on the same thread.
    answerWithin: process.env['ANSWER_WITHIN'] ?? '2h',
    onDeadline: 'follow-up',
  },
});
