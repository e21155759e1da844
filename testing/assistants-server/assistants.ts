/**
 * Assistants of the scripted server: those that callers created, and `asst_<script>` for every script.
 *
 * Rule: a scripted assistant has no owner, is visible to all, and can't be changed. Only `engine.ts` imports it.
 */
import type { AssistantParams, Caller, RunParams } from '../../protocol/ports/runs-service.ts';
import { apiErrors } from '../../protocol/errors.ts';
import { shownTools } from '../../protocol/wire/objects.ts';
import { findScript, scriptOfModel } from '../script.ts';
import type { ChosenScript, ScriptCatalogue } from '../script.ts';
import { owned } from './records.ts';
import type { AssistantRecord } from './records.ts';

export interface Assistants {
  create(tenant: string, id: string, params: AssistantParams): AssistantRecord;
  /** The caller's own, oldest first. */
  all(tenant: string): AssistantRecord[];
  /** null = none was created with this id. */
  ownerOf(id: string): string | null;
  /** The caller's own or a scripted one. */
  find(caller: Caller, id: string): AssistantRecord;
  update(caller: Caller, id: string, params: Partial<AssistantParams>): AssistantRecord;
  delete(caller: Caller, id: string): void;
  clear(): void;
}

const PREFIX = 'asst_';

export const createAssistants = (scripts: ScriptCatalogue, seconds: () => number): Assistants => {
  const made = new Map<string, AssistantRecord>();
  const build = (tenant: string, id: string, params: AssistantParams): AssistantRecord => ({
    tenant,
    id,
    object: 'assistant',
    created_at: seconds(),
    name: params.name ?? null,
    description: params.description ?? null,
    model: params.model,
    instructions: params.instructions ?? null,
    tools: shownTools(params.tools ?? []),
    tool_resources: {},
    metadata: params.metadata ?? {},
    temperature: params.temperature ?? 1,
    top_p: params.top_p ?? 1,
    response_format: params.response_format ?? 'auto',
    ...(params.reasoning_effort == null ? {} : { reasoning_effort: params.reasoning_effort }),
  });
  const scripted = (id: string): AssistantRecord | undefined => {
    if (!id.startsWith(PREFIX)) return undefined;
    const name = id.slice(PREFIX.length);
    const found = findScript(scripts, name);
    if (typeof found === 'string') return undefined;
    return build('', id, {
      model: name,
      name,
      description: found.entry.about,
      tools: found.entry.tools ?? [],
      metadata: { script: name },
    });
  };
  return {
    create(tenant, id, params) {
      const record = build(tenant, id, params);
      made.set(id, record);
      return record;
    },
    all: (tenant) => [...made.values()].filter((record) => record.tenant === tenant),
    find(caller, id) {
      const record = made.get(id);
      if (record !== undefined) return owned(record, caller, 'assistant', id);
      const built = scripted(id);
      if (built === undefined) throw apiErrors.notFound('assistant', id);
      return built;
    },
    update(caller, id, params) {
      const before = owned(made.get(id), caller, 'assistant', id);
      const { tenant, created_at: createdAt, ...rest } = before;
      const record = { ...build(tenant, id, { ...rest, ...params }), created_at: createdAt };
      made.set(id, record);
      return record;
    },
    delete(caller, id) {
      owned(made.get(id), caller, 'assistant', id);
      made.delete(id);
    },
    ownerOf: (id) => made.get(id)?.tenant ?? null,
    clear: () => made.clear(),
  };
};

/** The script of a run: by the run's metadata, the assistant's, or the model. An unknown one is refused by name. */
export const chooseScript = (
  scripts: ScriptCatalogue,
  defaultScript: string,
  params: RunParams,
  from: AssistantRecord,
): ChosenScript => {
  const named = params.metadata?.['script'] ?? from.metadata['script'];
  const chosen =
    named === undefined
      ? scriptOfModel(scripts, params.model ?? from.model, defaultScript)
      : findScript(scripts, named);
  if (typeof chosen === 'string')
    throw apiErrors.invalid(named === undefined ? 'model' : 'metadata.script', chosen, 'unknown_script');
  return chosen;
};
