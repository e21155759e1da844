/** Scripts of the scripted model and tools of the worker in the conformance tests, besides the sandbox's own scripts. */
import type { Script, ScriptedTurn } from '../../../testing/index.ts';

export const SCRIPTS: Record<string, Script> = {
  /** The model server refuses, and a retry would not help. */
  refused: (): ScriptedTurn => ({
    fail: { code: 'model_not_found', message: 'No such model.', status: 404 },
  }),
  /** Speaks before it calls. */
  spoken_calls: (turn): ScriptedTurn =>
    turn.round === 0
      ? {
          text: 'Let me look.',
          calls: [{ name: 'get_current_weather', arguments: { location: 'Oslo' } }],
        }
      : { text: `It is ${turn.outputs[0]?.output ?? 'unknown'}.` },
};

/** The worker's tool fails once and is retried. */
export const TOOLS = `
  export default defineTools({
    run_checks: {
      description: 'Run the release checks of a service',
      parameters: z.object({ service: z.string(), version: z.string() }),
      retry: { initialInterval: 10 },
      execute: ({ service }, { attempt }) => {
        note('run_checks ' + attempt);
        if (attempt === 1) throw new Error('flaky');
        return service + ' is green';
      },
    },
  });
`;
