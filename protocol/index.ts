/** Public face of the protocol: shapes, names and rules, without the schemas' dependency. */
export * from './backend.ts';
export * from './calls.ts';
export * from './compact.ts';
export * from './engine.ts';
export * from './errors.ts';
export * from './events.ts';
export * from './ids.ts';
export * from './names.ts';
export * from './problems.ts';
export * from './run-input.ts';
export * from './wire.ts';
export * from './workflow.ts';
