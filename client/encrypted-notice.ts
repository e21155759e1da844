/**
 * What Temporal's Web UI shows of a run whose payloads it can't decrypt: the names of its messages, and a line that says
 * where the details are readable.
 *
 * Rule: the readable part is made of constants only; nothing of the payload enters it. Without it the UI shows an empty
 * page and hides the update that answers a call, because it reads both from one encrypted query result.
 * Imports protocol only. Imported by `encryption.ts` and tests.
 */
import { METADATA_ENCODING_KEY, type Payload } from '@temporalio/common';
import {
  ANSWER,
  DECISIONS_QUERY,
  RUN_QUERY,
  SUBMIT_TOOL_OUTPUTS,
  WORKFLOWS,
} from '../protocol/temporal/names.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

/** How the SDK's result of the query `__temporal_workflow_metadata` begins. */
const BEGINNING = Buffer.from('{"definition":{"type":');
const WORKFLOW_TYPES: readonly string[] = Object.values(WORKFLOWS);
const KINDS = ['queryDefinitions', 'signalDefinitions', 'updateDefinitions'] as const;

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  [ANSWER]: 'Answer one call. Paste the JSON object that the decrypted details, or `runs show`, contain.',
  [SUBMIT_TOOL_OUTPUTS]: 'Used by the HTTP API.',
  [RUN_QUERY]: 'The state of the run.',
  [DECISIONS_QUERY]: 'The decisions about the calls of the run, oldest first.',
  __stack_trace: 'Returns a sensible stack trace.',
  __enhanced_stack_trace: 'Returns a stack trace annotated with source information.',
  __temporal_workflow_metadata: 'Returns metadata associated with this workflow.',
};

const NOTICE =
  '**These details are encrypted**, and this page has no codec endpoint that decrypts them. Read them with `runs show` where `RUNS_ENCRYPTION_KEYS` is set, or enter the address of `runs codec-server` in the page’s data encoder settings.';

const knownDefinitions = (listed: unknown): { name: string; description: string }[] =>
  Array.isArray(listed)
    ? listed.flatMap((entry: unknown) => {
        const name = isRecord(entry) ? entry['name'] : undefined;
        const description =
          typeof name === 'string' && Object.hasOwn(DESCRIPTIONS, name) ? DESCRIPTIONS[name] : undefined;
        return typeof name === 'string' && description !== undefined ? [{ name, description }] : [];
      })
    : [];

const parsed = (data: Uint8Array): unknown => {
  try {
    return JSON.parse(Buffer.from(data).toString('utf8'));
  } catch {
    return null;
  }
};

/** A readable stand-in for a workflow's metadata; null when the payload is anything else. */
export const encryptedNotice = ({ metadata, data }: Payload): Payload | null => {
  const encoding = metadata?.[METADATA_ENCODING_KEY];
  if (data == null || encoding == null || Buffer.from(encoding).toString() !== 'json/plain') return null;
  if (data.length < BEGINNING.length || !BEGINNING.equals(data.subarray(0, BEGINNING.length))) return null;
  const value = parsed(data);
  const definition = isRecord(value) ? value['definition'] : undefined;
  if (!isRecord(definition)) return null;
  const type = WORKFLOW_TYPES.find((known) => known === definition['type']);
  if (type === undefined) return null;
  const notice = {
    definition: {
      type,
      ...Object.fromEntries(KINDS.map((kind) => [kind, knownDefinitions(definition[kind])])),
    },
    currentDetails: NOTICE,
  };
  return { metadata: { [METADATA_ENCODING_KEY]: encoding }, data: Buffer.from(JSON.stringify(notice)) };
};
