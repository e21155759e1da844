/**
 * The codec endpoint as a server: `runs codec-server`, and a part of `runs dev` when payloads are encrypted.
 *
 * Rule: without keys it listens on this machine only; with keys it serves named origins only.
 * Imported by the commands and the stack.
 */
import type { DataConverter } from '@temporalio/common';
import { keyAuth, openAuth, parseApiKeys, serveApi } from '../../api/index.ts';
import { chainCodecs } from '../../client/payload-codecs.ts';
import { RunsError, quote } from '../../protocol/index.ts';
import type { Logger } from '../../protocol/ports/backend.ts';
import { createCodecApp } from './app.ts';

export interface CodecServerSettings {
  dataConverter: DataConverter | undefined;
  /** RUNS_API_KEYS; null = one person on this machine, without keys. */
  apiKeys: string | null;
  /** Exact origins of the Web UI. */
  origins: readonly string[];
  host: string;
  port: number;
  /** Where browsers reach the server; null = at its own address. */
  publicUrl: string | null;
  log: Logger;
}

export interface CodecServer {
  /** What the Web UI takes as its codec endpoint, without a slash at the end. */
  url: string;
  open: boolean;
  close(): Promise<void>;
}

/** Throws `RunsError` `config`: no codec, an address in use, or no keys on an address that others reach. */
export const startCodecServer = async (settings: CodecServerSettings): Promise<CodecServer> => {
  const { apiKeys, origins, host, port, publicUrl, log } = settings;
  const codecs = settings.dataConverter?.payloadCodecs ?? [];
  if (codecs.length === 0)
    throw new RunsError(
      'config',
      'The codec endpoint has nothing to decrypt with: set RUNS_ENCRYPTION_KEYS, or RUNS_DATA_CONVERTER to a module with payloadCodecs, as the workers have it.',
    );
  if (publicUrl !== null && (!/^https?:\/\//.test(publicUrl) || !URL.canParse(publicUrl)))
    throw new RunsError(
      'config',
      `RUNS_CODEC_URL must be the address under which browsers reach the codec endpoint, such as "https://codec.example"; got ${quote(publicUrl)}.`,
    );
  const auth = apiKeys === null ? openAuth() : keyAuth(parseApiKeys(apiKeys));
  let app: ReturnType<typeof createCodecApp> | null = null;
  const served = await serveApi(
    {
      open: auth.open,
      fetch: (request) => app?.fetch(request) ?? new Response(null, { status: 503 }),
      shutdown: () => undefined,
    },
    { host, port },
  );
  const url = (publicUrl ?? served.url.replace(/\/v1$/, '')).replace(/\/+$/, '');
  app = createCodecApp({ codec: chainCodecs(codecs), auth, origins, publicUrl: url, log });
  return { url, open: auth.open, close: () => served.close() };
};
