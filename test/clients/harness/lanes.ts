/**
 * The clients that are tried: where each program is, which manifest pins its library, and what it is known not to do.
 *
 * Rule: a version stands in the lane's own manifest and nowhere else; it is read from there. `known` holds the steps that fail
 * for a reason of the client, in the words that the table shows. The harness and its test import it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Step } from './steps.ts';

export const CLIENTS_DIR = fileURLToPath(new URL('..', import.meta.url));

export type Language = 'python' | 'node' | 'go' | 'rust' | 'java';

export interface Lane {
  /** Also the name of the program's folder (Go and Rust: of its command; Java: of its main class, in kebab-case). */
  name: string;
  language: Language;
  /** As people call it. */
  client: string;
  /** File below `test/clients/` that pins the version, and what comes before the version in it. */
  manifest: [file: string, before: string];
  known?: Partial<Record<Step, string>>;
  /** For a library that takes its server from the environment: variable → what it holds. */
  env?: Record<string, 'URL' | 'KEY'>;
}

const python = (
  name: string,
  client: string,
  { distribution = name, env = {} }: { distribution?: string; env?: NonNullable<Lane['env']> } = {},
): Lane => ({
  name,
  language: 'python',
  client,
  env,
  manifest: [`python/${name}/requirements.txt`, `${distribution}==`],
});
const node = (
  name: string,
  client: string,
  distribution = client,
  known: NonNullable<Lane['known']> = {},
): Lane => ({
  name,
  language: 'node',
  client,
  manifest: [`node/${name}/package.json`, `"${distribution}": "`],
  known,
});

const java = (name: string): Lane => ({
  name,
  language: 'java',
  client: name,
  manifest: ['java/pom.xml', `<artifactId>${name}</artifactId>\n      <version>`],
});

export const LANES: readonly Lane[] = [
  python('azure-ai-agents', 'azure-ai-agents'),
  python('langchain', 'LangChain', { distribution: 'langchain-classic' }),
  python('autogen', 'AutoGen', { distribution: 'autogen-ext' }),
  python('semantic-kernel', 'Semantic Kernel'),
  python('llama-index', 'LlamaIndex', {
    distribution: 'llama-index-agent-openai',
    env: { OPENAI_BASE_URL: 'URL' },
  }),
  python('marvin', 'Marvin', { env: { MARVIN_OPENAI_BASE_URL: 'URL', MARVIN_OPENAI_API_KEY: 'KEY' } }),
  python('litellm', 'LiteLLM'),
  node('langchain-js', 'LangChain.js', '@langchain/classic'),
  node('azure-ai-agents-js', '@azure/ai-agents', '@azure/ai-agents', {
    paging:
      'its lists end after the first page: it looks for a `nextLink`, which lists of this API do not have; ask for the next page by `after`',
  }),
  node('azure-openai-assistants', '@azure/openai-assistants'),
  {
    name: 'go-openai',
    language: 'go',
    client: 'go-openai',
    manifest: ['go/go.mod', 'github.com/sashabaranov/go-openai v'],
  },
  {
    name: 'openai-go',
    language: 'go',
    client: 'openai-go',
    manifest: ['go/go.mod', 'github.com/openai/openai-go/v3 v'],
  },
  {
    name: 'openai-go-1',
    language: 'go',
    client: 'openai-go',
    manifest: ['go/go.mod', 'github.com/openai/openai-go v'],
  },
  {
    name: 'async-openai',
    language: 'rust',
    client: 'async-openai',
    manifest: ['rust/Cargo.toml', 'async-openai = { version = "='],
  },
  java('openai-java'),
  java('azure-ai-openai-assistants'),
];

/** `openai-java` → `OpenaiJava` */
export const mainClassOf = ({ name }: Lane): string =>
  name.replaceAll(/(?:^|-)(.)/g, (_match, letter: string) => letter.toUpperCase());

/** The lane's program, below `test/clients/`. */
export const programOf = (lane: Lane): string =>
  ({
    python: `python/${lane.name}/main.py`,
    node: `node/${lane.name}/main.mjs`,
    go: `go/${lane.name}/main.go`,
    rust: `rust/src/bin/${lane.name}.rs`,
    java: `java/src/main/java/${mainClassOf(lane)}.java`,
  })[lane.language];

/** Throws when the manifest pins no version. */
export const versionOf = ({ name, manifest: [file, before] }: Lane): string => {
  const text = readFileSync(join(CLIENTS_DIR, file), 'utf8');
  const at = text.indexOf(before);
  const version = /^[\w.+-]+/.exec(text.slice(at + before.length))?.[0];
  if (at < 0 || version === undefined)
    throw new Error(
      `${file} pins no version of ${JSON.stringify(name)}: it holds no ${JSON.stringify(before)}.`,
    );
  return version;
};
