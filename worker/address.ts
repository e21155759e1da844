/**
 * A host and a port in one setting.
 *
 * Rule: pure. Imported by the configuration and by the composition roots.
 */

/** `127.0.0.1:9465`, `[::1]:9465`; null = something else. Port 0 is any that is free. */
export const splitAddress = (text: string): { host: string; port: number } | null => {
  const [, host = '', port = ''] = /^(\[[\da-fA-F:.]+\]|[^:[\]\s/]+):(\d{1,5})$/.exec(text) ?? [];
  return host === '' || Number(port) > 65_535
    ? null
    : { host: host.replaceAll(/[[\]]/g, ''), port: Number(port) };
};
