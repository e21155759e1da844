/**
 * `runs assistants create` and `runs assistants list`: assistants to start runs with, through the API.
 *
 * Rule: tools are given by name; the worker completes them. Imported by `program.ts`.
 */
import { usageError } from '../../app/exit.ts';
import { nonEmpty } from '../../app/dev-state.ts';
import { defineCommand, type CommandContext } from '../command.ts';
import { connections } from '../connections.ts';
import { oneLine, table } from '../output/format.ts';
import type { ApiClient } from '../api-client.ts';
import type { Assistant } from '../../protocol/wire/objects.ts';

interface CreateOptions {
  model?: string;
  name?: string;
  instructions?: string;
  tool: string[];
}

const collect = (value: string, before: string[]): string[] => [...before, value];

const apiOf = async ({ io }: CommandContext): Promise<{ api: ApiClient; backend: string }> => {
  const found = await connections(io);
  const { backend } = found;
  if (backend === 'assistants')
    throw usageError(
      'RUNS_BACKEND is "assistants": its server keeps the assistants. Create them there, with any client of the Assistants API.',
    );
  const { ApiClient } = await import('../api-client.ts');
  return { api: new ApiClient(found.api(), io.signal), backend };
};

export const createAssistantCommand = defineCommand<CreateOptions>({
  name: 'assistants create',
  summary: 'create an assistant and print its id',
  configure: (command) =>
    command
      .option('--model <name>', 'the model to use; default RUNS_MODEL, and the scripted model of "runs dev"')
      .option('--name <text>', 'a name for people')
      .option('--instructions <text>', 'instructions for the model')
      .option(
        '--tool <name>',
        'a tool of the worker that its runs may use; may be repeated; default: the tools that the server offers',
        collect,
        [],
      ),
  run: async (context, _args, options) => {
    const { api, backend } = await apiOf(context);
    const model =
      options.model ??
      nonEmpty(context.io.env['RUNS_MODEL']) ??
      (backend === 'sandbox' ? 'scripted:auto' : undefined);
    if (model === undefined)
      throw usageError(
        'assistants create needs --model NAME, the name under which the model server knows it, or RUNS_MODEL.',
      );
    const assistant = await api.createAssistant({
      model,
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.instructions === undefined ? {} : { instructions: options.instructions }),
      ...(options.tool.length === 0
        ? {}
        : { tools: options.tool.map((name) => ({ type: 'function' as const, function: { name } })) }),
    });
    for (const line of await missingTools(api, options.tool)) context.say(line);
    return { json: assistant, lines: [assistant.id] };
  },
});

/** A tool that no worker has is left to the caller, which may not be intended. */
const missingTools = async (api: ApiClient, names: readonly string[]): Promise<string[]> => {
  if (names.length === 0) return [];
  const known = await api.toolNames().catch(() => null);
  return known === null
    ? []
    : names
        .filter((name) => !known.includes(name))
        .map(
          (name) =>
            `note: the worker has no tool ${JSON.stringify(name)}, so its calls wait for the caller. It has: ${known.join(', ') || 'none'}.`,
        );
};

export const listAssistantsCommand = defineCommand<{ limit: string }>({
  name: 'assistants list',
  summary: 'list assistants, newest first',
  configure: (command) => command.option('--limit <number>', 'maximum number, up to 100', '20'),
  run: async (context, _args, { limit }) => {
    const { api } = await apiOf(context);
    const assistants = await api.assistants(limit);
    return {
      json: { assistants },
      lines: assistants.length === 0 ? ['No assistants.'] : assistantLines(assistants),
    };
  },
});

const assistantLines = (assistants: readonly Assistant[]): string[] =>
  table([
    ['ASSISTANT', 'MODEL', 'NAME', 'TOOLS'],
    ...assistants.map(({ id, model, name, tools }) => [
      id,
      oneLine(model, 40),
      oneLine(name ?? '', 30),
      oneLine(tools.map((tool) => tool.function.name).join(', '), 80),
    ]),
  ]);
