/** The address of a workflow's page in Temporal's Web UI. Rule: pure; only a web address becomes a link. */
import type { ConsoleSessionObject } from '../../../../protocol/wire/console-session.ts';

/** null = the server knows no address or no namespace, or the address is not one of the web. */
export const temporalPage = (
  links: ConsoleSessionObject['links'] | undefined,
  workflowId: string,
): string | null => {
  if (links === undefined) return null;
  const { temporal_ui: base, namespace } = links;
  if (base === null || namespace === null || !/^https?:\/\//.test(base)) return null;
  return `${base.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}`;
};
