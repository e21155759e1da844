/**
 * Does a server's refusal say that the model can't see images?
 *
 * Rule: only for a request with an image, and never for an image that is wrong in itself: its format, its size, its address. Names that
 * the caller has chosen are cut out of the text first. Pure. Imported within `backends/models/openai-compatible/` and by tests.
 */
import type { ModelError, ModelRequest } from '../../../protocol/ports/model.ts';
import { imagesUnsupported } from '../supported-request.ts';
import { effectiveStatus, type RefusalFacts } from './failures.ts';
import { wordsWithoutNames } from './refusals.ts';

const SPEAKS_OF_IMAGES = /image|vision|multi-?modal|mmproj/i;
const CAN_NOT_SEE =
  /(not|n['’]t|\bno|cannot|unable to|only)\b[^.;]{0,80}(support|accept|allow|handle|process|multi-?modal)|unsupported|unknown variant|not (a )?multi-?modal|at most 0 image|missing data required|supports? only text|text[- ]only/i;
const WRONG_IMAGE =
  /(image|media|file)[ _-]?(format|type|size|dimension|quality)|format of|base64|download|fetch|decod|corrupt|too (large|many|big)|mime|\b(jpe?g|png|webp|gif)\b/i;
const WANTS_TEXT = /content\b[^.;]{0,80}(must|should|expected|valid)[^.;]{0,40}\b(string|str|text)\b/i;

/** Statuses that speak of something else. */
const OTHER: ReadonlySet<number | null> = new Set([
  401, 402, 403, 408, 409, 413, 425, 429, 502, 503, 504, 524,
]);

/** The error for a refusal of the request's images; null = the refusal says something else. */
export const imagesRefused = (facts: RefusalFacts, request: ModelRequest): ModelError | null => {
  const status = effectiveStatus(facts) ?? facts.status;
  if (OTHER.has(status)) return null;
  const error = imagesUnsupported(request, { where: facts.where, words: facts.report.message, status });
  if (error === null) return null;
  const words = wordsWithoutNames(facts.report.message, request);
  const refuses = SPEAKS_OF_IMAGES.test(words)
    ? CAN_NOT_SEE.test(words) && !WRONG_IMAGE.test(words)
    : WANTS_TEXT.test(words);
  return refuses ? error : null;
};
