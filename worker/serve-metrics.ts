/**
 * Serves the metrics of a registry to Prometheus.
 *
 * Rule: it answers GET /metrics and nothing else. Imported by the composition roots.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RunsError } from '../protocol/index.ts';

export interface MetricsEndpoint {
  url: string;
  close(): Promise<void>;
}

/**
 * Serves the registry on `host:port`; port 0 takes a free one. `setting`: the variable that names the port.
 * Throws `RunsError('config')` when it can't listen.
 */
export const serveMetrics = async (
  registry: { contentType: string; metrics(): Promise<string> },
  host: string,
  port: number,
  setting = 'RUNS_METRICS_PORT',
): Promise<MetricsEndpoint> => {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?', 1)[0] !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('GET /metrics\n');
      return;
    }
    const answer = async () => {
      try {
        const text = await registry.metrics();
        response.writeHead(200, { 'content-type': registry.contentType }).end(text);
      } catch {
        response.writeHead(500).end();
      }
    };
    void answer();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new RunsError(
          'config',
          `Port ${port} of ${setting} can't be used on ${host}: ${error.message}. Choose another one.`,
          { cause: error },
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}/metrics`,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
};
