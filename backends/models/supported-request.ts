/**
 * Refuses a request that its model can't serve, before it is sent: images, tools, or an answer in JSON.
 *
 * Rule: only what the operator has said counts; a part that is left out would change the question without a word, so the turn is
 * refused, with the field. `imagesUnsupported` is the error of every adapter for an image that the model can't see. Pure.
 * Imported within `backends/models/`.
 */
import { ModelError, type ModelRequest, type ModelSupport } from '../../protocol/ports/model.ts';
import { jsonFormat } from './openai-compatible/answer-tool.ts';

const firstImage = ({ messages }: ModelRequest): number =>
  messages.findIndex(
    (message) => message.role === 'user' && message.content.some(({ type }) => type === 'image'),
  );

/** The error for the request's first image; null = it has none. `refusal`: where the server has refused it, and its words. */
export const imagesUnsupported = (
  request: ModelRequest,
  refusal: { where: string; words: string; status: number } | null = null,
): ModelError | null => {
  const at = firstImage(request);
  if (at === -1) return null;
  const what = `odel ${JSON.stringify(request.model)} can't see images, and message ${at} has one`;
  const message =
    refusal === null
      ? `M${what}. Use a model that can, or remove the image.`
      : `${refusal.where}: m${what}: ${JSON.stringify(refusal.words.slice(0, 600))}`;
  return new ModelError('refused', message, {
    field: `messages.${at}.content`,
    code: 'images_unsupported',
    ...(refusal === null ? {} : { status: refusal.status }),
  });
};

/** Throws `ModelError` `refused`. What is said of the model wins over what is said of its provider. */
export const refuseUnsupported = (request: ModelRequest, { images }: ModelSupport): void => {
  const { model, capabilities, tools } = request;
  const blind = (capabilities.images ?? images) === false ? imagesUnsupported(request) : null;
  if (blind !== null) throw blind;
  if (capabilities.tools !== false) return;
  const refuse = (what: string, fix: string, field: string): ModelError =>
    new ModelError(
      'refused',
      `Model ${JSON.stringify(model)} can't call tools (capabilities of RUNS_MODELS), and ${what}. ${fix}`,
      { field, code: `${field}_unsupported` },
    );
  if (tools.length > 0)
    throw refuse(
      `the request has ${tools.length} of them`,
      'Use a model that can, or a run without tools.',
      'tools',
    );
  if (capabilities.jsonSchema === false && jsonFormat(request) !== null)
    throw refuse(
      'it takes no "response_format" either, so that nothing asks it for JSON',
      'Use a model that has one of the two, or ask for text.',
      'response_format',
    );
};
