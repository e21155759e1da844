/**
 * A worker's tools as it describes them to others: definitions for an assistant's `tools`, and who carries a call out. Pure.
 *
 * Rule: nothing that only the tools file should know gets out: no code, no policy. Imported by the activities' index.
 */
import type { WorkerTool } from '../../protocol/index.ts';
import type { ToolDefinition, ToolRegistry } from './types.ts';

const executionOf = ({ external, approval }: ToolDefinition): WorkerTool['execution'] => {
  if (external) return 'external';
  if (typeof approval === 'function') return 'approval_by_arguments';
  return approval ? 'approval' : 'automatic';
};

export const listTools = (registry: ToolRegistry): WorkerTool[] =>
  registry.definitions().map((definition) => {
    const tool = registry.get(definition.function.name);
    return { definition, execution: tool === undefined ? 'automatic' : executionOf(tool) };
  });
