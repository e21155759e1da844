/**
 * How long a stack is, in workflow code.
 *
 * Rule: a side effect of being loaded, once for each thread, before anything of a workflow is. The SDK takes a stack for each
 * promise that a workflow makes (for the query `__stack_trace`) and looks every frame up in the source map, which was a good
 * part of an activation's time. A run waits in one place of the driver, whatever it waits for: three frames say so.
 * Listed in `worker/bundle-options.ts`.
 */
const FRAMES = 3;

Object.assign(Error, { stackTraceLimit: FRAMES });
