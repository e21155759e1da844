/**
 * `runs replay FILE…`: replays recorded histories on the workflow code of this version.
 *
 * Files come from `temporal workflow show --output json`, the Web UI's (encoded) download, or `GET /v1/runs/{run}/history`. No
 * server is needed; encrypted payloads need the keys of the worker.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineCommand } from '../command.ts';
import { dataDir } from '../../app/dev-state.ts';
import { EXIT } from '../../app/exit.ts';
import { oneLine } from '../output/format.ts';
import type { ReplayVerdict } from '../replay.ts';

export const replay = defineCommand<object>({
  name: 'replay',
  summary: 'replay exported histories against the workflow code of this version',
  configure: (command) =>
    command.argument(
      '<file...>',
      'history as JSON: `temporal workflow show --output json`, or from the Web UI',
    ),
  run: async ({ io, say }, files) => {
    const { replayFiles } = await import('../replay.ts');
    const { dataConverterOf } = await import('../../worker/data-converter.ts');
    const { dataConverter } = await dataConverterOf(io.env);
    const onFile = (file: string): void => say(`replaying ${file}`);
    const verdicts = await replayFiles(files, onFile, cacheDir(io.env), dataConverter);
    const bad = verdicts.filter((verdict) => verdict.verdict !== 'ok').length;
    return {
      json: { ok: bad === 0, files: verdicts },
      lines: [
        ...verdicts.flatMap(verdictLines),
        bad === 0
          ? `${verdicts.length} ${verdicts.length === 1 ? 'history replays' : 'histories replay'}.`
          : `${bad} of ${verdicts.length} did not replay.`,
      ],
      exitCode: bad === 0 ? EXIT.ok : EXIT.checkFailed,
    };
  },
});

/** The bundle cache of `runs dev`, if it ever ran here; otherwise nothing is written. */
const cacheDir = (env: Parameters<typeof dataDir>[0]): string | undefined => {
  const dir = join(dataDir(env), 'cache');
  return existsSync(dir) ? dir : undefined;
};

const verdictLines = (verdict: ReplayVerdict): string[] =>
  verdict.verdict === 'ok'
    ? [`ok       ${verdict.file} (${verdict.events} events)`]
    : [`${verdict.verdict.padEnd(8)} ${verdict.file}`, `         ${oneLine(verdict.reason ?? '', 600)}`];
