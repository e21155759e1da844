/**
 * Loads a provider's library, an optional package, when its kind of model is opened, and only then.
 *
 * Rule: its absence, a version of another line, and a Node that can't run it are said at start, with the command that fixes it.
 * Imported by the adapters in `backends/models/`.
 */
import { RunsError } from '../../../protocol/index.ts';

/** The line of the AI SDK's interface that the adapters are written for; it runs on all Node versions of this project. */
const LINE = 'v3';

const installOf = (packageName: string, range: string): string =>
  `Run "npm install ${packageName}@${range}".`;

/** `load`: the import itself, written where a bundler and the build of the packages see it. */
export const loadSdk = async <Library>(
  kind: string,
  packageName: string,
  range: string,
  load: () => Promise<Library>,
): Promise<Library> => {
  try {
    return await load();
  } catch (error) {
    const missing = error instanceof Error && Reflect.get(error, 'code') === 'ERR_MODULE_NOT_FOUND';
    throw new RunsError(
      'config',
      missing
        ? `A model of kind "${kind}" is configured, and the package ${packageName} is not installed. ${installOf(packageName, range)}`
        : `The package ${packageName}, which models of kind "${kind}" need, can't be loaded by Node ${process.version}. ${installOf(packageName, range)}`,
      { cause: error },
    );
  }
};

/** Throws when the installed library is of another line, such as one that needs a newer Node. */
export const assertLine = (
  model: { specificationVersion: string },
  packageName: string,
  range: string,
): void => {
  const { specificationVersion: line } = model;
  if (line !== LINE)
    throw new RunsError(
      'config',
      `The installed ${packageName} has the model interface "${line}", and this version needs "${LINE}". ${installOf(packageName, range)}`,
    );
};
