/**
 * The part of the AI SDK's language-model interface (version 3) that the native adapters use, in terms of this project.
 *
 * Rule: structural and minimal, so that no declaration here names a package that may not be installed. Types only.
 * Imported within `backends/models/`.
 */
export type SdkJson = null | string | number | boolean | { [name: string]: SdkJson | undefined } | SdkJson[];

/** Data for or of one provider, by its name: what the library hands out is what it takes back. */
export type SdkOptions = Record<string, Record<string, SdkJson | undefined>>;

interface WithOptions {
  providerOptions?: SdkOptions;
}

export type SdkText = WithOptions & { type: 'text'; text: string };
export type SdkFile = WithOptions & { type: 'file'; data: string | URL; mediaType: string };
export type SdkReasoning = WithOptions & { type: 'reasoning'; text: string };
export type SdkCall = WithOptions & {
  type: 'tool-call';
  toolCallId: string;
  toolName: string;
  input: unknown;
};
export interface SdkResult {
  type: 'tool-result';
  toolCallId: string;
  toolName: string;
  output: { type: 'text'; value: string };
}

export type SdkMessage =
  | { role: 'system'; content: string }
  | { role: 'user'; content: (SdkText | SdkFile)[] }
  | { role: 'assistant'; content: (SdkText | SdkReasoning | SdkCall)[] }
  | { role: 'tool'; content: SdkResult[] };

export interface SdkTool {
  type: 'function';
  name: string;
  description?: string;
  inputSchema: Record<string, unknown>;
  strict?: boolean;
}

export type SdkToolChoice =
  | { type: 'auto' }
  | { type: 'none' }
  | { type: 'required' }
  | { type: 'tool'; toolName: string };

export interface SdkCallOptions {
  prompt: SdkMessage[];
  tools?: SdkTool[];
  toolChoice?: SdkToolChoice;
  responseFormat?: {
    type: 'json';
    schema?: Record<string, unknown>;
    name?: string;
    description?: string;
  };
  temperature?: number;
  topP?: number;
  maxOutputTokens?: number;
  providerOptions?: SdkOptions;
  abortSignal?: AbortSignal;
}

interface WithMetadata {
  providerMetadata?: SdkOptions | undefined;
}

/** The parts that the adapters read; a stream may have others. */
export type SdkPart =
  | ({ type: 'text-start' | 'text-end' | 'reasoning-start' | 'reasoning-end'; id: string } & WithMetadata)
  | ({ type: 'text-delta' | 'reasoning-delta'; id: string; delta: string } & WithMetadata)
  | ({ type: 'tool-input-start'; id: string; toolName: string } & WithMetadata)
  | ({ type: 'tool-input-delta'; id: string; delta: string } & WithMetadata)
  | ({ type: 'tool-call'; toolCallId: string; toolName: string; input: string } & WithMetadata)
  | { type: 'error'; error: unknown }
  | {
      type: 'finish';
      usage: {
        inputTokens: { total: number | undefined; cacheRead: number | undefined };
        outputTokens: { total: number | undefined; reasoning: number | undefined };
      };
      finishReason: { unified: string; raw: string | undefined };
    }
  | { type: 'other' };

export interface SdkModel {
  specificationVersion: string;
  doStream(options: SdkCallOptions): PromiseLike<{ stream: ReadableStream<unknown> }>;
}

export type SdkFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
