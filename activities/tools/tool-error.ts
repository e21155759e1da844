/**
 * The error by which a tool says that a retry is useless.
 *
 * Rule: users' tools throw it. It is recognised by name, since a tools file may have loaded another copy of the
 * package.
 */

/** A permanent failure. Its message is the output that the model reads. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

export const isToolError = (error: unknown): error is ToolError =>
  error instanceof Error && error.name === 'ToolError';
