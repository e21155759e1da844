/**
 * What the process of this folder has learned of its model server, and the settings that fix it. Pure.
 * Imported by `runs doctor`.
 */
import type { ProcessRecord } from '../../app/process-file.ts';
import type { LearnedCapability, LearnedOfServer } from '../../protocol/ports/model.ts';
import { describeModelSettings, type ModelSettings } from '../../worker/model-settings.ts';
import { duration, oneLine } from '../output/format.ts';
import { ok, skipped, type Finding } from './check.ts';

/** The setting that says for good what was learned for a while. */
const SETTING: Readonly<Record<string, string>> = {
  other_max_tokens_field: 'RUNS_MODEL_MAX_TOKENS_FIELD=max_tokens',
  no_stream: 'RUNS_MODEL_STREAM=never',
  no_stream_with_tools: 'RUNS_MODEL_STREAM=without_tools',
  no_response_format: 'RUNS_MODEL_JSON_SCHEMA=false',
  no_response_format_with_tools: 'RUNS_MODEL_JSON_SCHEMA=false',
  roles_alternate: 'RUNS_MODEL_ROLES_ALTERNATE=true',
};

/** The same in the file of RUNS_MODELS. */
const SETTING_OF_FILE: Readonly<Record<string, string>> = {
  other_max_tokens_field: 'max_tokens_field of the provider',
  no_stream: 'stream of the provider',
  no_stream_with_tools: 'stream of the provider',
  no_response_format: 'capabilities.json_schema of the model',
  no_response_format_with_tools: 'capabilities.json_schema of the model',
  roles_alternate: 'roles_alternate of the provider',
};

const MAX_LISTED = 12;

const text = (
  { model, capability, until }: LearnedCapability,
  now: number,
  settings: Readonly<Record<string, string>>,
): string => {
  const setting = settings[capability];
  return `${oneLine(model, 64)}: ${capability}, remembered for ${duration(until - now)} more${setting === undefined ? '' : ` (${setting} sets it for good)`}`;
};

const REASONS = { rate_limited: 'a limit was reached', unavailable: 'it was unavailable' } as const;

/** Models that are not asked now: turns go to a fallback, or are repeated then. */
const cooldownTexts = ({ server, cooldowns = [] }: LearnedOfServer, now: number): string[] =>
  cooldowns
    .filter(({ until }) => until > now)
    .slice(0, MAX_LISTED)
    .map(({ model, reason, until, times }) => {
      const who =
        model === null ? `the provider ${oneLine(server, 120)}` : oneLine(`${server}/${model}`, 180);
      return `${who} is not asked for ${duration(until - now)} more: ${REASONS[reason]}${times > 1 ? `, ${times} times in a row` : ''}`;
    });

export const learnedFinding = (
  process: ProcessRecord | null,
  settings: ModelSettings,
  now: number,
): Finding => {
  const set = describeModelSettings(settings);
  const given = set === 'learned' ? '' : `; set: ${set}`;
  const settingOf = process?.settings['RUNS_MODELS'] === undefined ? SETTING : SETTING_OF_FILE;
  if (process === null) return skipped(`no process of this folder runs${given}`);
  const found = process.learned.flatMap(({ server, capabilities }) => {
    const live = capabilities.filter(({ until }) => until > now);
    const more = live.length > MAX_LISTED ? [`${live.length - MAX_LISTED} more`] : [];
    return live.length === 0
      ? []
      : [
          `${oneLine(server, 120)}: ${[...live.slice(0, MAX_LISTED).map((one) => text(one, now, settingOf)), ...more].join(', ')}`,
        ];
  });
  const cooling = process.learned.flatMap((one) => cooldownTexts(one, now));
  const nothing = found.length === 0 && cooling.length === 0;
  return ok(
    `${nothing ? 'nothing learned about the model server so far' : [...found, ...cooling].join('; ')}${given}`,
  );
};
