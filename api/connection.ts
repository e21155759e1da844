/**
 * The response of one request, as far as the API watches and ends it. Imports nothing. Imported by `api/`.
 */

/** What the Node adapter passes along with a request: Node's `ServerResponse`. */
export interface Connection {
  /** It has closed already, and emits no `close` any more. */
  readonly destroyed: boolean;
  destroy(): unknown;
  once(event: 'close', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}
