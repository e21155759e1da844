/**
 * A TLS proxy in front of a plain HTTP server, with a certificate made for it, as a deployment has one. Tests only.
 *
 * Rule: bytes pass as they come, in both directions, and the end of one side ends the other.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request as forward } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { promisify } from 'node:util';

export interface TlsProxy {
  /** `https://localhost:PORT`, without a path. */
  url: string;
  /** File with the certificate, which vouches for itself. */
  certificate: string;
  close(): Promise<void>;
}

const CERTIFICATE = [
  ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
  ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
].flat();

/** `target`: the server's URL; its path is not used. Needs `openssl`. */
export const openTlsProxy = async (target: string): Promise<TlsProxy> => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-tls-'));
  const [key, certificate] = [join(dir, 'key.pem'), join(dir, 'certificate.pem')];
  await promisify(execFile)('openssl', [...CERTIFICATE, '-keyout', key, '-out', certificate]);
  const { hostname, port } = new URL(target);
  const server = createServer({ key: await readFile(key), cert: await readFile(certificate) });
  server.on('request', (request, response) => {
    const { method, url, headers } = request;
    const sent = forward({ hostname, port, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      pipeline(answer, response, () => undefined);
    });
    sent.on('error', () => response.destroy());
    response.on('close', () => sent.destroy());
    pipeline(request, sent, () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    certificate,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(dir, { recursive: true, force: true });
    },
  };
};
