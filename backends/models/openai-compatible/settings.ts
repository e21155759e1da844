/**
 * Settings of an operator for a server, which replace learned limits.
 *
 * Rule: a setting always wins over a server's refusal. A missing setting is learned.
 * Imported within `backends/models/openai-compatible/`, by the composition root and by tests.
 */
import type { ModelCapabilities } from '../../../protocol/ports/model.ts';
import type { ReasonClass } from './finish-reasons.ts';
import type { Adjustment } from './capabilities.ts';

export interface OpenAiCompatibleSettings {
  /** How the server calls the limit of an answer's length. */
  maxTokensField?: 'max_completion_tokens' | 'max_tokens';
  /** Whether answers are asked for as a stream. */
  stream?: 'always' | 'without_tools' | 'never';
  /** Whether token counts are asked for in the stream. */
  streamUsage?: boolean;
  /** Whether roles must alternate. */
  rolesAlternate?: boolean;
  /** Whether the server knows the role `system`. */
  systemRole?: boolean;
  /** Whether the server knows `response_format`; false = an answer in JSON is the call of a tool. */
  jsonSchema?: boolean;
  /** Meanings of finish reasons that are in no list, by the server's word. */
  finishReasons?: Readonly<Record<string, ReasonClass>>;
  /** Added to the body of every request; a key that is there wins over ours. */
  extraBody?: Readonly<Record<string, unknown>>;
}

/**
 * Adjustments that the settings decide: always on, or never to be learned. What is said of the model wins over what is said of its
 * server; a model without tools is never asked by the answer tool.
 */
export const decided = (
  settings: OpenAiCompatibleSettings,
  capabilities: Pick<ModelCapabilities, 'jsonSchema' | 'tools'>,
): { on: Adjustment[]; fixed: ReadonlySet<Adjustment> } => {
  const { stream, streamUsage, rolesAlternate, systemRole, maxTokensField } = settings;
  const jsonSchema = capabilities.jsonSchema ?? (capabilities.tools === false ? true : settings.jsonSchema);
  const on: Adjustment[] = [];
  const fixed = new Set<Adjustment>();
  const decide = (adjustment: Adjustment, active: boolean): void => {
    fixed.add(adjustment);
    if (active) on.push(adjustment);
  };
  if (maxTokensField !== undefined) decide('other_max_tokens_field', maxTokensField === 'max_tokens');
  if (stream !== undefined) {
    decide('no_stream', stream === 'never');
    decide('no_stream_with_tools', stream === 'without_tools');
  }
  if (streamUsage !== undefined) decide('no_stream_usage', !streamUsage);
  if (rolesAlternate !== undefined) decide('roles_alternate', rolesAlternate);
  if (systemRole !== undefined) decide('no_system_role', !systemRole);
  if (jsonSchema !== undefined) {
    decide('no_response_format', !jsonSchema);
    decide('no_response_format_with_tools', !jsonSchema);
  }
  return { on, fixed };
};
