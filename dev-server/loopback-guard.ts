/**
 * Which requests a server for one person on this machine answers: its own pages and programs on the machine.
 *
 * Rule: the `Host` names this server on the loopback interface (a page that rebinds its name to 127.0.0.1 still sends its
 * own), and a browser says that the request comes from this server's page or from the address bar. Pure.
 * Imported by `ui-proxy.ts` and tests.
 */

export interface GuardedRequest {
  method: string;
  host: string | undefined;
  origin: string | undefined;
  /** `Sec-Fetch-Site`: absent from programs and old browsers. */
  fetchSite: string | undefined;
  /** `Sec-Fetch-Mode`: `navigate` is a link or the address bar. */
  fetchMode: string | undefined;
}

export interface GuardRefusal {
  status: 403 | 421;
  message: string;
}

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]'] as const;

/** `null`: the request may pass to the server that listens on `port`. */
export const guardRefusal = (request: GuardedRequest, port: number): GuardRefusal | null => {
  const hosts = LOOPBACK_NAMES.map((name) => `${name}:${port}`);
  const { method, host, origin, fetchSite, fetchMode } = request;
  if (host === undefined || !hosts.includes(host.toLowerCase()))
    return {
      status: 421,
      message: `This server answers as ${hosts.join(', ')}, not as ${JSON.stringify(host ?? '')}. Open it by one of these names.`,
    };
  if (origin !== undefined && !hosts.some((name) => origin.toLowerCase() === `http://${name}`))
    return { status: 403, message: `Requests from the page ${JSON.stringify(origin)} are refused.` };
  const ownPage = fetchSite === undefined || fetchSite === 'same-origin' || fetchSite === 'none';
  const link = (method === 'GET' || method === 'HEAD') && fetchMode === 'navigate';
  return ownPage || link
    ? null
    : { status: 403, message: 'Requests from pages of another origin are refused.' };
};
