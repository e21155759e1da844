/** What the adapters for models hold in memory once they are loaded, as a process of its own: kinds one after the other. */
import { MODEL_KINDS, openModel } from '../../backends/models/open-model.ts';

const resident = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().rss;
};

const grown: Record<string, number> = {};
let before = resident();
for (const kind of MODEL_KINDS) {
  const model = await openModel(kind, { apiKey: 'key-1' });
  await model.dispose();
  const after = resident();
  grown[kind] = after - before;
  before = after;
}
process.send?.({ ready: grown });
process.once('disconnect', () => process.exit(0));
