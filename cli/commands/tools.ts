/** `runs tools`: the tools of the workers, as one of them reports them, in the form of an assistant's `tools`. */
import { defineCommand } from '../command.ts';
import { withClient } from '../connections.ts';
import { oneLine, table } from '../output/format.ts';
import type { WorkerTool, WorkerToolServer } from '../../protocol/temporal/activities.ts';

export const toolsCommand = defineCommand<object>({
  name: 'tools',
  summary: "list the workers' tools; --json has their definitions",
  configure: () => undefined,
  run: async ({ io }) =>
    withClient(io, async (client) => {
      const { tools: found, servers } = await client.toolList();
      const { taskQueue } = client.place;
      return {
        json: {
          taskQueue,
          tools: found.map(({ definition }) => definition),
          execution: Object.fromEntries(
            found.map(({ definition, execution }) => [definition.function.name, execution]),
          ),
          servers,
        },
        lines: [...toolLines(found, taskQueue), ...serverLines(servers)],
      };
    }),
});

const EXECUTION: Record<WorkerTool['execution'], string> = {
  automatic: 'at once',
  approval: 'after an approval',
  approval_by_arguments: 'at once or after an approval',
  external: 'outside',
};

const parameterNames = ({ definition }: WorkerTool): string => {
  const properties = definition.function.parameters?.['properties'];
  return typeof properties === 'object' && properties !== null ? Object.keys(properties).join(', ') : '';
};

export const toolLines = (tools: readonly WorkerTool[], taskQueue: string): string[] => {
  if (tools.length === 0)
    return [
      `The worker on task queue ${JSON.stringify(taskQueue)} has no tools. RUNS_TOOLS=./tools.ts gives it yours.`,
    ];
  const rows = tools.map((tool) => [
    tool.definition.function.name,
    EXECUTION[tool.execution],
    oneLine(parameterNames(tool), 40),
    oneLine(tool.definition.function.description ?? '', 80),
  ]);
  return table([['TOOL', 'RUNS', 'PARAMETERS', 'DESCRIPTION'], ...rows]);
};

/** What an operator should know of the MCP servers; nothing while all is well. */
const serverLines = (servers: readonly WorkerToolServer[]): string[] =>
  servers.flatMap(({ name, problem, notes }) =>
    [...(problem === null ? [] : [`not connected: ${problem}`]), ...notes].map(
      (text) => `MCP server ${JSON.stringify(name)}: ${text}`,
    ),
  );
