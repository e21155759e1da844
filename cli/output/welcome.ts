/** The lines of `runs dev` when it is ready. Pure. Imported by `runs dev`. */
import { dataDir as usualDataDir, type DevState } from '../../app/dev-state.ts';
import { shellWord } from './format.ts';

export interface Welcome extends Omit<DevState, 'pid' | 'temporalPid'> {
  dataDir: string;
  tools: readonly string[];
  /** Replaces every run's model; null = the assistant names it. */
  model: string | null;
  /** Of the console; null = it is off. */
  consoleUrl: string | null;
  /** The assistant for a first try of the server; null = none. */
  assistantId: string | null;
}

const BACKEND: Record<string, string> = {
  sandbox: 'sandbox, a scripted model; docs/how-to/use-a-model-server.md describes how to use a real one',
  chat: 'chat, the model server at OPENAI_BASE_URL',
  assistants: 'assistants, the runs API at OPENAI_BASE_URL (so none is served here)',
};

/** The Web UI's list of runs that wait for an answer. */
const waitingUrl = (uiUrl: string, namespace: string): string =>
  `${uiUrl}/namespaces/${namespace}/workflows?query=${encodeURIComponent('`ExecutionStatus`="Running" AND RunsWaitingFor IS NOT NULL')}`;

export const welcome = (dev: Welcome): string[] => [
  `ready: runs dev. Ctrl-C stops it; its state stays in ${dev.dataDir}`,
  '',
  ...(dev.consoleUrl === null ? [] : [`  Console   ${dev.consoleUrl}`]),
  `  Web UI    ${dev.uiUrl ?? `of your Temporal server at ${dev.temporalAddress}`}`,
  ...(dev.uiUrl === null
    ? []
    : [
        `  Waiting   ${waitingUrl(dev.uiUrl, dev.namespace)}`,
        '            (a run’s tab "User Metadata" shows the waiting calls and what to paste)',
      ]),
  ...(dev.apiUrl === null ? [] : [`  API       ${dev.apiUrl}`]),
  `  Temporal  ${dev.temporalAddress}, namespace ${dev.namespace}, task queue ${dev.taskQueue}`,
  `  Backend   ${BACKEND[dev.backend] ?? dev.backend}`,
  `  Tools     ${dev.tools.length === 0 ? 'none on the worker (RUNS_TOOLS=./tools.ts loads yours)' : dev.tools.join(', ')}`,
  '',
  'Try it, in another terminal of this folder:',
  '',
  ...examples(dev),
];

const examples = ({ backend, assistantId, dataDir, model }: Welcome): string[] => {
  // Commands look at the usual address only, unless a setting names another.
  const runs = `${dataDir === usualDataDir({}) ? '' : `RUNS_DATA_DIR=${shellWord(dataDir)} `}npx runs`;
  return assistantId === null
    ? [
        ...(backend === 'assistants'
          ? []
          : [`  ${runs} assistants create --model ${shellWord(model ?? 'NAME')}`]),
        `  ${runs} start --assistant ID --message "Hello" --wait`,
        `  ${runs} list`,
      ]
    : [
        `  ${runs} start --assistant ${assistantId} --message "Hello"`,
        `  ${runs} list --waiting`,
        `  ${runs} answer            (lists the waiting calls, and asks)`,
      ];
};
