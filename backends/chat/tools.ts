/**
 * The tools that a run declares to the model, from the run and the worker. Pure.
 *
 * Rule: a tool that the run only names gets the worker's description and parameters; a run that is offered the worker's
 * tools declares those that its tenant may use. A caller's own definition never changes.
 * Imported within `backends/chat/` and by tests.
 */
import type { RunConfig } from '../../protocol/ports/turn-store.ts';
import type { FunctionTool } from '../../protocol/wire/objects.ts';

/** Only a name: no description, no parameters. */
const isNameOnly = ({ function: { description, parameters } }: FunctionTool): boolean =>
  description === undefined && parameters === undefined;

/** `workerTools`: the tools of this worker. Those that the run's tenant may not use are skipped. */
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
