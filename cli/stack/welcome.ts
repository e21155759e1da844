/** What `runs dev` says when it is ready. Pure. Imported by `runs dev`. */
import type { DevState } from '../dev-state.ts';

export interface Welcome extends Omit<DevState, 'pid' | 'temporalPid'> {
  dataDir: string;
  tools: readonly string[];
}

const BACKEND: Record<string, string> = {
  sandbox: 'sandbox, a scripted model (RUNS_BACKEND=chat OPENAI_BASE_URL=… uses a real one)',
  chat: 'chat, the model server at OPENAI_BASE_URL',
  assistants: 'assistants, the runs API at OPENAI_BASE_URL (so none is served here)',
};

/** The runs that wait for somebody, as a list in the Web UI. */
const waitingUrl = (uiUrl: string, namespace: string): string =>
  `${uiUrl}/namespaces/${namespace}/workflows?query=${encodeURIComponent('`ExecutionStatus`="Running" AND RunsWaitingFor IS NOT NULL')}`;

export const welcome = (dev: Welcome): string[] => [
  `ready: runs dev. Ctrl-C stops it; its state stays in ${dev.dataDir}`,
  '',
  `  Web UI    ${dev.uiUrl ?? `of your Temporal server at ${dev.temporalAddress}`}`,
  ...(dev.uiUrl === null ? [] : [`  Waiting   ${waitingUrl(dev.uiUrl, dev.namespace)}`]),
  ...(dev.apiUrl === null ? [] : [`  API       ${dev.apiUrl}`]),
  `  Temporal  ${dev.temporalAddress}, namespace ${dev.namespace}, task queue ${dev.taskQueue}`,
  `  Backend   ${BACKEND[dev.backend] ?? dev.backend}`,
  `  Tools     ${dev.tools.length === 0 ? 'none on the worker (RUNS_TOOLS=./tools.ts loads yours)' : dev.tools.join(', ')}`,
  '',
  'Try it, in another terminal of this folder:',
  '',
  ...(dev.apiUrl === null
    ? ['  npx runs start --assistant ID --message "Hello" --wait']
    : [
        `  curl -s ${dev.apiUrl}/threads/runs -H 'content-type: application/json' -H 'openai-beta: assistants=v2' \\`,
        `    -d '{"assistant_id":"ID","thread":{"messages":[{"role":"user","content":"Hello"}]}}'`,
      ]),
  '  npx runs list',
];
