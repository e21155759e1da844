/**
 * Entry `durable-runs/testing`: test agents against a runs API and a chat model that play a script, fail on request, and pass ten
 * minutes in a millisecond.
 *
 * Rule: at most 25 names, each reported in `docs/reference/api/`. Rooms of the project import `index.ts`.
 */
export { createClock, type ClockOptions, type ManualClock, type SandboxClock } from './clock.ts';
export { noQuirks, type Quirks } from './assistants-server/quirks.ts';
export type { Fault, FaultAction, FaultHandle, FaultMatch, Faults } from './faults.ts';
export { seededIds, type IdSource } from './ids.ts';
export type { LoggedRequest } from './log.ts';
export { createSandbox, type Sandbox } from './sandbox.ts';
export { type SandboxOptions } from './sandbox-options.ts';
export type {
  Script,
  ScriptCatalogue,
  ScriptedCall,
  ScriptedTurn,
  ScriptEntry,
  TurnInput,
} from './script.ts';
export { catalogue as scriptCatalogue } from './scripts.ts';
