/** The address of a workflow's page in Temporal's Web UI. Rule: pure; only a web address becomes a link. */
export const temporalPage = (
  links: { temporal_ui: string | null; namespace: string } | undefined,
  workflowId: string,
): string | null => {
  const base = links?.temporal_ui;
  if (links === undefined || base == null || !/^https?:\/\//.test(base)) return null;
  return `${base.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(links.namespace)}/workflows/${encodeURIComponent(workflowId)}`;
};
