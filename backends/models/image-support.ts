/**
 * Refuses a request with an image before it is sent to a provider whose models can't see.
 *
 * Rule: an image that is left out would change the question without a word; so the turn is refused, with the field that holds it.
 * Pure. Imported within `backends/models/`.
 */
import { ModelError, type ModelRequest, type ModelSupport } from '../../protocol/ports/model.ts';

export const refuseUnseenImages = (request: ModelRequest, { images }: ModelSupport): void => {
  if (images !== false) return;
  const at = request.messages.findIndex(
    (message) => message.role === 'user' && message.content.some(({ type }) => type === 'image'),
  );
  if (at === -1) return;
  throw new ModelError(
    'refused',
    `Model ${JSON.stringify(request.model)} can't see images, and message ${at} has one. Use a model that can, or remove the image.`,
    { field: `messages.${at}.content`, code: 'images_unsupported' },
  );
};
