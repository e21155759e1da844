/**
 * The test server as other rooms import it; programs import `public.ts`.
 */
export { createClock, type ManualClock, type ClockOptions, type SandboxClock } from './clock.ts';
export {
  createSandboxEngine,
  type SandboxEngine,
  type SandboxEngineOptions,
} from './assistants-server/engine.ts';
export { noQuirks, type Quirks } from './assistants-server/quirks.ts';
export { type Fault, type FaultAction, type FaultHandle, type FaultMatch, type Faults } from './faults.ts';
export { seededIds, type IdSource } from './ids.ts';
export type { LoggedRequest } from './log.ts';
export { createSandbox, type Sandbox } from './sandbox.ts';
export { type SandboxOptions } from './sandbox-options.ts';
export type {
  Script,
  ScriptCatalogue,
  ScriptedCall,
  ScriptEntry,
  ScriptedTurn,
  TurnInput,
} from './script.ts';
export { catalogue as scriptCatalogue } from './scripts.ts';
