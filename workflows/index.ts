/** Everything the workflow bundle exports, by name: the worker runs these, and nothing else is a workflow. */
export { followUp } from './follow-up/workflow.ts';
export { run } from './run/workflow.ts';
export { workerTools } from './worker-tools.ts';
