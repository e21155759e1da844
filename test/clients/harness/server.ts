/**
 * The server that all client programs talk to: `runs dev` with a scripted model, and a TLS proxy in front of it for clients
 * that insist on https.
 *
 * Rule: started as a user starts it, with keys, in a directory that goes with it. The harness imports it.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../../dev-server/ports.ts';
import { createSandbox } from '../../../testing/index.ts';
import { openTlsProxy } from '../../support/tls-proxy.ts';
import { spawnWorker } from '../../support/worker-process.ts';

const KEY = 'key-of-the-client-programs-0123456789';
/** keytool's own minimum is six characters; the store holds one public certificate. */
const STORE_PASSWORD = 'changeit';

export interface ClientsServer {
  /** What every program gets in its environment. */
  env: Record<string, string>;
  /** What a variable of one lane holds. */
  places: { URL: string; KEY: string };
  close(): Promise<void>;
}

/** Java reads certificates from a store of its own. No keytool = no Java lane, so nothing to tell. */
const importForJava = async (certificate: string, store: string): Promise<void> => {
  const args = ['-importcert', '-noprompt', '-alias', 'durable-runs', '-file', certificate];
  const target = ['-keystore', store, '-storetype', 'PKCS12', '-storepass', STORE_PASSWORD];
  await promisify(execFile)('keytool', [...args, ...target]).catch(() => undefined);
};

export const openServer = async (): Promise<ClientsServer> => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-clients-'));
  const sandbox = await createSandbox();
  const port = await freePort();
  const server = spawnWorker(
    {
      PORT: String(port),
      RUNS_BACKEND: 'chat',
      RUNS_DATA_DIR: join(dir, 'data'),
      RUNS_API_KEYS: `clients:${KEY}:*`,
      OPENAI_BASE_URL: sandbox.modelUrl,
    },
    ['dev'],
  );
  const origin = `http://127.0.0.1:${port}`;
  const proxy = await openTlsProxy(origin);
  const store = join(dir, 'certificates.p12');
  await importForJava(proxy.certificate, store);
  const close = async (): Promise<void> => {
    server.signal('SIGTERM');
    await server.exited;
    await proxy.close();
    await sandbox.close();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await server.ready;
  } catch (error) {
    await close();
    throw error;
  }
  return {
    env: {
      BASE_URL: `${origin}/v1`,
      API_KEY: KEY,
      HTTPS_URL: proxy.url,
      CA_FILE: proxy.certificate,
      NODE_EXTRA_CA_CERTS: proxy.certificate,
      JAVA_TOOL_OPTIONS: `-Djavax.net.ssl.trustStore=${store} -Djavax.net.ssl.trustStorePassword=${STORE_PASSWORD}`,
    },
    places: { URL: `${origin}/v1`, KEY },
    close,
  };
};
