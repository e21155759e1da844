/** Public face of the protocol: shapes, names and rules, without the schemas' dependency. */
export * from './ports/backend.ts';
export * from './tool-calls.ts';
export * from './temporal/compact.ts';
export * from './ports/runs-service.ts';
export * from './errors.ts';
export * from './limits.ts';
export * from './wire/events.ts';
export * from './wire/ids.ts';
export * from './temporal/names.ts';
export * from './rules/validation.ts';
export * from './temporal/run-input.ts';
export * from './wire/objects.ts';
export * from './temporal/messages.ts';
