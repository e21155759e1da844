/**
 * Steps of a client program: each is one JSON line on standard output. A failed step ends nothing: `step` answers undefined, and a
 * later step that needs the result says so by `needed`.
 */
import { strict as assert } from 'node:assert';

/** As docs/how-to/migrate-a-program.md calls them. */
export const { BASE_URL: URL, API_KEY: KEY, HTTPS_URL: HTTPS } = process.env;

export const FUNCTION = {
  name: 'get_current_weather',
  description: 'Get the current weather in a given location',
  parameters: {
    type: 'object',
    properties: { location: { type: 'string' }, unit: { type: 'string' } },
    required: ['location'],
  },
};
export const OUTPUT = 'mild';
export const ANSWER = 'The current weather in San Francisco, CA: mild';
/** Models of the scripted model server: one call and an answer, and words: five, two with 17 s between them, 21 with 1 s. */
export const MODELS = {
  calling: 'scripted:weather',
  words: 'scripted:words:5',
  silent: 'scripted:words:2x17000',
  dripping: 'scripted:words:21x1000',
};
/** What such a model says. */
export const words = (count) => Array.from({ length: count }, (_, index) => `word${index + 1}`).join(' ');

const print = (step, ok, detail = '') => {
  process.stdout.write(`${JSON.stringify({ step, ok, detail })}\n`);
};

export const step = async (name, work) => {
  try {
    const result = await work();
    print(name, true);
    return result;
  } catch (error) {
    print(name, false, `${error?.name}: ${error?.message}`);
    return undefined;
  }
};

/** The client offers no such call. */
export const absent = (name, why) => print(name, null, why);

export const same = (actual, expected) => assert.deepEqual(actual, expected);

export const needed = (result, name) => result ?? assert.fail(`not reached: step ${name} failed`);

export const refusalOf = (promise) =>
  promise.then(
    () => assert.fail('not refused'),
    (error) => error,
  );

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
