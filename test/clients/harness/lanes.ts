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
}

const python = (name: string, client: string, distribution = name): Lane => ({
  name,
  language: 'python',
  client,
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

const java = (name: string, known: NonNullable<Lane['known']> = {}): Lane => ({
  name,
  language: 'java',
  client: name,
  known,
  manifest: ['java/pom.xml', `<artifactId>${name}</artifactId>\n      <version>`],
});

export const LANES: readonly Lane[] = [
  python('azure-ai-agents', 'azure-ai-agents'),
  python('langchain', 'LangChain', 'langchain-classic'),
  python('autogen', 'AutoGen', 'autogen-ext'),
  python('semantic-kernel', 'Semantic Kernel'),
  python('llama-index', 'LlamaIndex', 'llama-index-agent-openai'),
  python('marvin', 'Marvin'),
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
    name: 'async-openai',
    language: 'rust',
    client: 'async-openai',
    manifest: ['rust/Cargo.toml', 'async-openai = { version = "='],
  },
  java('openai-java'),
  java('azure-ai-openai-assistants', {
    silence:
      'it takes the keep-alive comment of a stream for an event; poll where the model may be silent for 15 s',
  }),
];

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
