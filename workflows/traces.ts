/**
 * The depth of stacks in workflow code.
 *
 * Rule: a side effect of loading this module, once per thread, before any workflow starts. The SDK captures a stack for
 * each promise of a workflow (for the query `__stack_trace`) and resolves every frame with the source map, which was a
 * large part of an activation's time. A run always waits at the same place of the driver, so three frames suffice.
 * Measured: with Node's ten frames, a replay takes 14 % more CPU (bench/README.md).
 * Listed in `worker/bundle-options.ts`.
 */
const STACK_FRAMES = 3;

Object.assign(Error, { stackTraceLimit: STACK_FRAMES });
