/**
 * What a silent stream sends, so that proxies keep its connection.
 *
 * Rule: no client sees an event in it. A comment is enough for all readers of server-sent events but one, which is known by its
 * `User-Agent`. Pure. `sse.ts` uses it.
 */

/** One line end only: once an `id` was sent, several official clients parse a blank line as an event without data, and fail. */
const COMMENT = ': keep-alive\n';

/**
 * Azure's Java client takes the first line of a frame for the name of an event, whatever it holds, so a comment breaks it. It
 * passes over `done` and reads on: its stream ends with the connection.
 */
const IGNORED_EVENT = 'event: done\ndata: keep-alive\n\n';
const WITHOUT_COMMENTS = 'azsdk-java-azure-ai-openai-assistants/';

export const keepAliveFor = (userAgent: string | null): string =>
  userAgent?.includes(WITHOUT_COMMENTS) === true ? IGNORED_EVENT : COMMENT;
