/**
 * How the workflow bundle is made, for whoever makes it: a worker started from sources, the build, tests.
 *
 * Rule: what is loaded once for all workflows of a thread is pure: no SDK, no state in modules, frozen after loading.
 * Everything else is run anew for each workflow, which costs each start its time and each cached run its memory.
 * Imports nothing; `worker/bundle.ts` and the build import it.
 */

/** The decisions: everything of the workflow that knows no SDK. Their own imports come with them. */
const PURE = [
  'follow-up/late-answers',
  'run/evaluate-answer',
  'run/current-details',
  'run/driver',
  'run/transitions/end',
  'run/follow-up-input',
  'run/machine',
  'run/message-handlers',
  'run/snapshot',
  'run/evaluate-submit',
];

interface Optimizing {
  optimization?: object;
}

/** `from`: the folder that holds `workflows` and `protocol`; sources and a build differ in the files' `extension`. */
export const bundleOptions = (from: string, extension: 'ts' | 'js') => ({
  workflowsPath: `${from}/workflows/index.${extension}`,
  preloadModules: [
    ...PURE.map((name) => `${from}/workflows/${name}.${extension}`),
    `${from}/workflows/traces.${extension}`,
    `${from}/protocol/temporal/compact.${extension}`,
    `${from}/protocol/temporal/run-input.${extension}`,
  ],
  webpackConfigHook: <Config extends Optimizing>(config: Config) => ({
    ...config,
    // Half of the bundle would be the sources' text, kept in every worker; traces need only files and lines.
    devtool: 'inline-nosources-source-map' as const,
    // Modules that are imported from one place become part of it: less to look up in each start.
    optimization: {
      ...config.optimization,
      concatenateModules: true,
      usedExports: true,
      providedExports: true,
      sideEffects: true,
    },
  }),
});
