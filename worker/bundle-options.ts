/**
 * How the workflow bundle is made: for workers started from sources, the build, and tests.
 *
 * Rule: modules that are loaded once for all workflows of a thread are pure: no SDK, no state, frozen after loading.
 * All others run again for each workflow, which costs time at each start and memory for each cached run.
 * Imports nothing; `worker/bundle.ts` and the build import it.
 */

/** Modules of the workflow without the SDK. Their imports are loaded with them. */
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
  // For every worker, whether it exports traces or not: all run the same bundle.
  workflowInterceptorModules: [`${from}/workflows/trace-context.${extension}`],
  preloadModules: [
    ...PURE.map((name) => `${from}/workflows/${name}.${extension}`),
    `${from}/workflows/traces.${extension}`,
    `${from}/protocol/temporal/payloads.${extension}`,
  ],
  webpackConfigHook: <Config extends Optimizing>(config: Config) => ({
    ...config,
    // Half of the bundle would be the sources' text, kept in every worker; traces need only files and lines.
    devtool: 'inline-nosources-source-map' as const,
    // A module that is imported once becomes part of its importer: fewer lookups at each start.
    optimization: {
      ...config.optimization,
      concatenateModules: true,
      usedExports: true,
      providedExports: true,
      sideEffects: true,
    },
  }),
});
