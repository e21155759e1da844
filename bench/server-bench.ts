/** What the suites of the runs server measure with: its processes, and connections to each. Imported by the suites. */
import { RunsClient } from '../client/index.ts';
import { openHttp } from './server-http.ts';
import type { Bench } from './server-latency.ts';
import { setServerStage, type ServerStage } from './server-stage.ts';

export interface ServerBench {
  stage: ServerStage;
  bench: Bench;
  client: RunsClient;
  close: () => Promise<void>;
}

export const openServerBench = async (): Promise<ServerBench> => {
  const stage = await setServerStage();
  const api = openHttp(stage.api.url, stage.headers);
  const model = openHttp(stage.model, { 'content-type': 'application/json' });
  const client = await RunsClient.connect({
    address: stage.temporal.address,
    namespace: 'default',
    env: {},
  });
  const close = async (): Promise<void> => {
    await client.close();
    await Promise.all([api.close(), model.close()]);
    await stage.close();
  };
  try {
    const { id: assistantId } = await api.post<{ id: string }>('/assistants', { model: 'zero_t1_g0' });
    return { stage, bench: { api, model, temporal: client.temporal, assistantId }, client, close };
  } catch (error) {
    await close();
    throw error;
  }
};
