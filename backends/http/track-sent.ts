/**
 * Records the moment at which a request is handed to a socket.
 *
 * Rule: a failure before that moment means not sent, with any error; after it the request may have taken effect. Error
 * codes can't decide: a handshake and a processed request can both end in ECONNRESET. Imports undici. The client
 * imports it.
 */
import { DecoratorHandler, type Dispatcher } from 'undici';

export interface SentTracker {
  sent: boolean;
}

/** Notes the moment a request is handed to a socket; what fails before it was not sent, whatever the error's name. */
class SentHandler extends DecoratorHandler {
  readonly #note: SentTracker;
  readonly #handler: Dispatcher.DispatchHandler;

  constructor(handler: Dispatcher.DispatchHandler, note: SentTracker) {
    super(handler);
    this.#handler = handler;
    this.#note = note;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#note.sent = true;
    this.#handler.onRequestStart?.(controller, context);
  }
}

export const trackSent: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { opaque } = options as Dispatcher.RequestOptions<SentTracker>;
  return dispatch(options, opaque === undefined ? handler : new SentHandler(handler, opaque));
};
