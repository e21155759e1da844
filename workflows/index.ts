/** Exports every workflow of the bundle, by name. A function that is missing here is no workflow type. */
export { followUp } from './follow-up/workflow.ts';
export { run } from './run/workflow.ts';
export { webhookDelivery } from './webhook-delivery.ts';
export { workerTools } from './worker-tools.ts';
