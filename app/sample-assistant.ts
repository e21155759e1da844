/**
 * An assistant to try the server with, on the scripted model: it calls your tools once per run, or, without tools,
 * requests a deployment that a person must answer.
 *
 * Rule: it is found by its metadata, so a restart creates no second one; its tools follow the tools file. Imported by
 * the `chat` side of the stack.
 */
import type { ToolRegistry } from '../activities/index.ts';
import { scriptCatalogue } from '../testing/index.ts';
import type { Store } from '../protocol/ports/run-store.ts';

const SAMPLE_METADATA = { durable_runs: 'sample' };

export const sampleAssistant = async (
  store: Pick<Store, 'listAssistants' | 'createAssistant' | 'updateAssistant'>,
  tenant: string,
  tools: ToolRegistry | undefined,
  now: number,
): Promise<string> => {
  const own = tools !== undefined && tools.names.length > 0;
  const script = own ? 'auto' : 'deploy';
  const params = {
    model: `scripted:${script}`,
    name: 'sample',
    tools: own ? tools.definitions() : (scriptCatalogue().get(script)?.tools ?? []),
    metadata: SAMPLE_METADATA,
  };
  const page = await store.listAssistants(tenant, { limit: 100, order: 'asc' });
  const before = page.data.find(({ metadata }) => metadata['durable_runs'] === SAMPLE_METADATA.durable_runs);
  if (before === undefined) return (await store.createAssistant(tenant, params, now)).id;
  await store.updateAssistant(tenant, before.id, params);
  return before.id;
};
