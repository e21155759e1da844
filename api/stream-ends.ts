/** Errors that end an event stream before its time. Pure. Imported by `sse.ts`. */
import { ApiError } from '../protocol/errors.ts';

/** Errors that end a stream, by what its reader can do then. */
const endings = (goOn: string) => ({
  shuttingDown: new ApiError(503, `The server is shutting down. ${goOn}`, {
    type: 'server_error',
    code: 'shutting_down',
  }),
  stalled: new ApiError(
    408,
    `The server closed the stream, because its events were not read for too long, or the unread events of all streams took too much memory. ${goOn}`,
    { type: 'server_error', code: 'slow_reader' },
  ),
  signedOut: new ApiError(401, 'The session has ended. Sign in again.', { code: 'session_ended' }),
  cutOff: new ApiError(500, `The stream of events ended before the run did. ${goOn}`, {
    type: 'server_error',
    code: 'stream_ended',
  }),
});
export const OF_RUN = endings('The run goes on: read its events again with Last-Event-ID, or retrieve it.');
export const OF_APPROVALS = endings('Open it again with Last-Event-ID.');
export type StreamEnds = typeof OF_RUN;
