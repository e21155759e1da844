/**
 * The backend that a configuration names, built and with a way to end it.
 *
 * Rule: a backend's code is loaded only where it is used: a worker for somebody else's runs API opens no database
 * driver, and the other way round.
 * Imported by the composition root and by `doctor`.
 */
import type { ActivityDeps } from '../activities/index.ts';
import { RunsError, type Backend } from '../protocol/index.ts';
import type { Config } from './config.ts';

export interface MadeBackend {
  backend: Backend;
  dispose(): Promise<void>;
}

const optional = <Key extends string, Value>(key: Key, value: Value | null): Partial<Record<Key, Value>> =>
  value === null ? {} : ({ [key]: value } as Partial<Record<Key, Value>>);

/** A runs API elsewhere. `problems` has seen to it that the address is there. */
export const makeAssistants = async (config: Config): Promise<MadeBackend> => {
  const { createAssistantsBackend } = await import('../backends/assistants/index.ts');
  const backend = createAssistantsBackend({
    baseUrl: config.baseUrl ?? '',
    ...optional('apiKey', config.apiKey),
    ...optional('apiVersion', config.apiVersion),
  });
  return { backend, dispose: () => backend.dispose() };
};

export interface ProductionBackends {
  backends: ActivityDeps['backends'];
  startLinkedRun?: ActivityDeps['startLinkedRun'];
  dispose(): Promise<void>;
}

/** What `runs worker` serves, by its configuration alone. */
export const productionBackends = async (config: Config): Promise<ProductionBackends> => {
  if (config.backend === 'assistants') {
    const made = await makeAssistants(config);
    return { backends: { assistants: made.backend }, dispose: () => made.dispose() };
  }
  throw new RunsError('config', 'todo chat');
};
