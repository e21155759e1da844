/**
 * The tools that a run declares to the model, made of what the caller wrote and what the worker has. Pure.
 *
 * Rule: a tool of which the run gives only the name is the worker's, with its description and parameters; a run that is
 * offered the worker's tools declares those that its tenant may use. A caller's own definition is never changed.
 * Imported within `backends/chat/` and by tests.
 */
import type { RunConfig } from '../../protocol/ports/run-store.ts';
import type { FunctionTool } from '../../protocol/wire/objects.ts';

/** Nothing but the name: no description, no parameters. */
const isNameOnly = ({ function: { description, parameters } }: FunctionTool): boolean =>
  description === undefined && parameters === undefined;

/** `workerTools`: what the worker that asks the model has. Those that the run's tenant may not use are not looked at. */
export const declaredTools = (
  {
    tools,
    granted_tools: granted,
    offer_tools: offer,
  }: Pick<RunConfig, 'tools' | 'granted_tools' | 'offer_tools'>,
  workerTools: readonly FunctionTool[],
): FunctionTool[] => {
  const usable = workerTools.filter(({ function: { name } }) => granted === null || granted.includes(name));
  if (offer === true && tools.length === 0) return usable;
  return tools.map((tool) =>
    isNameOnly(tool) ? (usable.find((own) => own.function.name === tool.function.name) ?? tool) : tool,
  );
};
