/**
 * API keys that a Temporal server with its default authorizer takes: tokens signed by a key that it reads from a key set here.
 *
 * Rule: a key says for which namespaces it has which roles, and nothing else. Imported by the cluster's tests.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const HOUR_S = 3_600;

export interface AccessKeys {
  /** For `TEMPORAL_JWT_KEY_SOURCE1`. */
  url: string;
  /** A key with permissions such as `default:write`; valid for an hour. */
  issue(permissions: readonly string[]): string;
  close(): Promise<void>;
}

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export const openAccessKeys = async (): Promise<AccessKeys> => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const kid = 'key-of-the-test';
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }];
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys.json`,
    issue(permissions) {
      const now = Math.floor(Date.now() / 1_000);
      const claims = { sub: 'runs', iat: now, exp: now + HOUR_S, permissions };
      const signed = `${encoded({ alg: 'RS256', typ: 'JWT', kid })}.${encoded(claims)}`;
      return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), privateKey).toString('base64url')}`;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
