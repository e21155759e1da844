/**
 * How a tool says that another attempt is useless.
 *
 * Rule: thrown by users' tools; recognised by name, since a tools file may have loaded another copy of the package.
 */

/** A failure that will not go away by itself. Its message is the output that the model reads. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

export const isToolError = (error: unknown): error is ToolError =>
  error instanceof Error && error.name === 'ToolError';
