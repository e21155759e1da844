/**
 * What an answer says to do instead of what this server does not have: the texts that `validate.ts` and `paths.ts` share. Pure.
 *
 * Rule: each text ends in the address of the page that shows how, since a program's log is often all that its author sees.
 */

/** The section of docs/how-to/migrate-a-program.md about features that this server does not have. */
export const MIGRATING_URL =
  'https://github.com/durable-runs/durable-runs/blob/main/docs/how-to/migrate-a-program.md#what-there-is-not';

/** Often for the first request of a migrated program: documented examples of several clients use such a tool. */
export const INSTEAD_OF_BUILT_IN = `Use a tool of type 'function', which your program or the worker answers: ${MIGRATING_URL} shows one.`;

/** Instead of files, however they are sent. */
export const INSTEAD_OF_FILES = `Send the text itself in a message, or serve it through a function tool: ${MIGRATING_URL} shows one.`;
