/**
 * Refuses images for models that can't see, when a message or a run is created.
 *
 * Rule: only what is configured counts; where it is not known, the model server is asked with the image, and its refusal fails the run.
 * A message has no model yet: it is refused when no model of this server can see. Imported within `service/` only.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { NewRun, Store } from '../protocol/ports/run-store.ts';
import type { MessageParams, RunParams } from '../protocol/ports/runs-service.ts';

/**
 * The model that can't see, for a run that asks for `asked`; null = it can, or nothing is known of it. `asked`: null = no run
 * has named a model. The name in the result: null = no model of this server can see.
 */
export type BlindModel = (asked: string | null) => { name: string | null } | null;

/** Where the first image is, such as `content[1]`; null = there is none. */
const imageIn = ({ content }: MessageParams): string | null => {
  const at = typeof content === 'string' ? -1 : content.findIndex(({ type }) => type === 'image_url');
  return at < 0 ? null : `content[${at}]`;
};

const imageAmong = (messages: readonly MessageParams[] | null | undefined, path: string): string | null => {
  for (const [index, message] of (messages ?? []).entries()) {
    const place = imageIn(message);
    if (place !== null) return `${path}[${index}].${place}`;
  }
  return null;
};

const refuse = (path: string, { name }: { name: string | null }): never => {
  const who =
    name === null ? 'No model of this server accepts' : `The model ${JSON.stringify(name)} does not accept`;
  throw apiErrors.invalid(
    path,
    `Invalid '${path}': ${who} images. Leave the image out.`,
    'unsupported_value',
  );
};

/** Of a message, or of the messages of a new thread. */
export const assertMessagesSeen = (
  blind: BlindModel,
  params: MessageParams | { messages?: readonly MessageParams[] | null },
): void => {
  const path = 'content' in params ? imageIn(params) : imageAmong(params.messages, 'messages');
  const model = path === null ? null : blind(null);
  if (path !== null && model !== null) refuse(path, model);
};

/** Of a new run: what it adds to its thread. The assistant is read only when there is an image and the run names no model. */
export const assertRunSees = async (
  { blindModel, store }: { blindModel: BlindModel; store: Pick<Store, 'getAssistant'> },
  tenant: string,
  thread: NewRun['thread'],
  params: RunParams,
): Promise<void> => {
  const created = 'create' in thread ? imageAmong(thread.create.messages, 'thread.messages') : null;
  const path = created ?? imageAmong(params.additional_messages, 'additional_messages');
  if (path === null) return;
  const asked = params.model ?? (await store.getAssistant(tenant, params.assistant_id)).model;
  const model = blindModel(asked);
  if (model !== null) refuse(path, model);
};
