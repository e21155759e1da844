/**
 * A worker's tools for other processes: definitions for an assistant's `tools`, and who runs a call. Pure.
 *
 * Rule: code and policies stay in the worker. Imported by the activities' index.
 */
import type { WorkerTool } from '../../protocol/index.ts';
import type { ToolDefinition, ToolRegistry } from './types.ts';

const executionOf = ({ external, needsApproval }: ToolDefinition): WorkerTool['execution'] => {
  if (external) return 'external';
  if (typeof needsApproval === 'function') return 'approval_by_arguments';
  return needsApproval ? 'approval' : 'automatic';
};

export const listTools = (registry: ToolRegistry): WorkerTool[] =>
  registry.definitions().map((definition) => {
    const tool = registry.get(definition.function.name);
    return { definition, execution: tool === undefined ? 'automatic' : executionOf(tool) };
  });
