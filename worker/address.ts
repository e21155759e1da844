/**
 * Parses a host and a port from one setting.
 *
 * Rule: pure. Imported by the configuration and by the composition roots.
 */

/** `127.0.0.1:9465`, `[::1]:9465`; null = another form. Port 0 is any free one. */
export const splitAddress = (text: string): { host: string; port: number } | null => {
  const [, host = '', port = ''] = /^(\[[\da-fA-F:.]+\]|[^:[\]\s/]+):(\d{1,5})$/.exec(text) ?? [];
  return host === '' || Number(port) > 65_535
    ? null
    : { host: host.replaceAll(/[[\]]/g, ''), port: Number(port) };
};
