/**
 * Where the workflow code lies on disk, for the program that bundles it.
 *
 * Rule: no workflow imports this module: a bundle has no place on disk. `worker/` imports it.
 */
export const WORKFLOWS_MODULE = import.meta.url;
