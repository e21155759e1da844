/**
 * An address of Temporal whose server refuses every call at once: a command learns without the time-out of a connection
 * that it has no Temporal there. Tests only.
 */
import { createServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface RefusingTemporal {
  /** `127.0.0.1:port`. */
  address: string;
  close(): Promise<void>;
}

/** gRPC's FAILED_PRECONDITION, which the client does not repeat. */
const REFUSAL = { 'grpc-status': '9', 'grpc-message': 'refused by the test' };

export const refusingTemporal = async (): Promise<RefusingTemporal> => {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  server.on('session', (session) => void sessions.add(session));
  server.on('stream', (stream) =>
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...REFUSAL }, { endStream: true }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
