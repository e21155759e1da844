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

/** The tool was asked and did not answer. An at-most-once tool is not asked again; others are, by their policy. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

export const isToolError = (error: unknown): error is ToolError =>
  error instanceof Error && error.name === 'ToolError';
