/**
 * Fault points around the ports that a worker is composed of: a backend and the store.
 *
 * Rule: a wrapper changes nothing but the moment at which the process may end. Points lie *before* the fence of a write:
 * a process that slept there must be stopped by the fence, one that died there has written nothing.
 */
import type { Backend, BackendContext, BackendObservation, Settled } from '../../protocol/ports/backend.ts';
import type { Store } from '../../protocol/ports/run-store.ts';
import { STORE_METHODS, type BackendOp, type Faults } from './faults.ts';

const watched = (
  op: BackendOp,
  ctx: BackendContext,
  faults: Faults,
  observe: (what: BackendObservation) => void,
): BackendContext => ({
  ...ctx,
  fence: () => {
    faults.at(`${op}.writing`);
    ctx.fence();
  },
  heartbeat: (progress) => {
    ctx.heartbeat(progress);
    if (progress.run !== undefined) faults.at(`${op}.following`);
  },
  observe: (what) => {
    ctx.observe?.(what);
    observe(what);
    if (what.kind === 'request' && what.method === 'POST' && what.status < 300) faults.at(`${op}.answered`);
  },
});

export const faultyBackend = (
  backend: Backend,
  faults: Faults,
  observe: (what: BackendObservation) => void = () => undefined,
): Backend => {
  const through = async (
    op: BackendOp,
    ctx: BackendContext,
    work: (ctx: BackendContext) => Promise<Settled>,
  ): Promise<Settled> => {
    const settled = await work(watched(op, ctx, faults, observe));
    faults.at(`${op}.settled`);
    return settled;
  };
  return {
    kind: backend.kind,
    createThread: (request, ctx) => backend.createThread(request, ctx),
    create: (request, ctx) => through('create', ctx, (inner) => backend.create(request, inner)),
    submit: (run, round, outputs, ctx, decisions) =>
      through('submit', ctx, (inner) => backend.submit(run, round, outputs, inner, decisions)),
    follow: (run, ctx) => through('follow', ctx, (inner) => backend.follow(run, inner)),
    close: (target, how, ctx, decisions) =>
      through('close', ctx, (inner) => backend.close(target, how, inner, decisions)),
    ...(backend.recordAnswers === undefined
      ? {}
      : {
          recordAnswers: async (run, round, outputs, ctx) => {
            await backend.recordAnswers?.(run, round, outputs, ctx);
          },
        }),
    ...(backend.recordDecisions === undefined
      ? {}
      : {
          recordDecisions: async (runId, decisions, ctx) => {
            await backend.recordDecisions?.(runId, decisions, ctx);
          },
        }),
    probe: (signal) => backend.probe(signal),
  };
};

/** The store with a point before and after each transaction of a worker; everything else goes straight through. */
export const faultyStore = (store: Store, faults: Faults): Store =>
  new Proxy(store, {
    get(target, name, receiver) {
      const method: unknown = Reflect.get(target, name, receiver);
      const known = STORE_METHODS.find((each) => each === name);
      if (known === undefined || typeof method !== 'function') return method;
      return async (...args: unknown[]): Promise<unknown> => {
        faults.at(`store.${known}.before`);
        const result: unknown = await method.apply(target, args);
        faults.at(`store.${known}.after`);
        return result;
      };
    },
  });
