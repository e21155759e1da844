/**
 * The result of an MCP tool as the text that the model reads. Pure.
 *
 * Rule: what is not text is named with its kind, type and size, so that the model knows what it does not see. Nothing is
 * left out without a word.
 * Imported within `worker/mcp/` and by tests.
 */
import { quote } from '../../protocol/index.ts';
import type { McpResult } from './load-sdk.ts';

type Part = McpResult['content'][number];

const MAX_NAME = 300;

/** Bytes that base64 text stands for. */
const bytesOf = (base64: string): string => {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  return `${Math.max(0, Math.floor((base64.length * 3) / 4) - padding)} bytes`;
};

const leftOut = (kind: string, facts: readonly (string | undefined)[]): string =>
  `[${kind} left out: ${facts.filter((fact) => fact !== undefined).join(', ')}]`;

const named = (value: string | undefined): string | undefined =>
  value === undefined ? undefined : quote(value, MAX_NAME);

const partText = (part: Part): string => {
  switch (part.type) {
    case 'text':
      return part.text;
    case 'image':
    case 'audio':
      return leftOut(part.type, [named(part.mimeType), bytesOf(part.data)]);
    case 'resource_link': {
      const facts = [
        named(part.uri),
        named(part.name),
        named(part.mimeType),
        part.size === undefined ? undefined : `${part.size} bytes`,
      ];
      return leftOut('content of a linked resource', facts);
    }
    case 'resource': {
      const { resource } = part;
      return 'text' in resource
        ? `[resource ${quote(resource.uri, MAX_NAME)}]\n${resource.text}`
        : leftOut('resource', [named(resource.uri), named(resource.mimeType), bytesOf(resource.blob)]);
    }
    default:
      return leftOut('content', [`type ${quote(Reflect.get(part, 'type'))}`]);
  }
};

const sameJson = (text: string, value: unknown): boolean => {
  try {
    return JSON.stringify(JSON.parse(text)) === JSON.stringify(value);
  } catch {
    return false;
  }
};

/** Servers that send structured content send it as text, too: as JSON, or each of its values. */
const isSaid = (structured: unknown, texts: readonly string[]): boolean =>
  texts.some((text) => sameJson(text, structured)) ||
  (typeof structured === 'object' &&
    structured !== null &&
    Object.values(structured).every((value) => typeof value === 'string' && texts.includes(value)));

/** undefined = the tool returned nothing. Structured content is said once. */
export const mcpResultText = (result: McpResult): string | undefined => {
  const texts = result.content.map(partText);
  const structured: unknown = result.structuredContent;
  if (structured !== undefined && !(texts.length > 0 && isSaid(structured, texts)))
    texts.push(JSON.stringify(structured));
  return texts.length === 0 ? undefined : texts.join('\n');
};
