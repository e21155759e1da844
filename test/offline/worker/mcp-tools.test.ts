/** Names, policies, results and files of MCP servers: the pure part. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  defineTools,
  mcpPrefix,
  mcpToolName,
  planCalls,
  type McpServers,
  type ToolRegistry,
} from '../../../activities/index.ts';
import { toolNameProblem } from '../../../protocol/index.ts';
import type { McpTool } from '../../../worker/mcp/load-sdk.ts';
import { joinMcpServers, parseMcpServers } from '../../../worker/mcp/mcp-file.ts';
import { mcpResultText } from '../../../worker/mcp/result-text.ts';
import { secretsOf } from '../../../worker/mcp/secrets.ts';
import { serverTools } from '../../../worker/mcp/server-tools.ts';
import { mcpToolPolicy } from '../../../worker/mcp/tool-policy.ts';

const tool = (name: string, more: Partial<McpTool> = {}): McpTool => ({
  name,
  description: 'A tool.',
  inputSchema: { type: 'object' },
  ...more,
});
const listed = (tools: McpTool[], options: McpServers[string] = { url: 'http://h' }) =>
  serverTools('it', tools, options, () => () => Promise.resolve(''));
const own = (mcp: McpServers) => defineTools({}, { mcp });
const servers = (file: unknown, env = {}) => parseMcpServers(JSON.stringify(file), env);
const result = (content: unknown[], more: object = {}) => mcpResultText({ content, ...more } as never);
const problemsOf = (mcp: unknown, ownTools: Record<string, { description: string }> = {}): string => {
  const tools = Object.fromEntries(
    Object.entries(ownTools).map(([name, rest]) => [
      name,
      { ...rest, parameters: z.object({}), execute: () => '' },
    ]),
  );
  try {
    defineTools(tools, { mcp: mcp as McpServers });
    return '';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('names', () => {
  test.each([
    ['github', 'search_issues', 'github__search_issues'],
    ['my server', 'repo/list.all', 'my_server__repo_list_all'],
    ['__odd__name__', 'x', 'odd_name__x'],
  ])('%s and %s make %s', (server, name, made) => {
    expect(mcpToolName(server, name)).toBe(made);
  });

  test('a name of any length fits the rule, and two long ones stay two', () => {
    const names = ['a', 'b'].map((end) => mcpToolName('s'.repeat(200), 't'.repeat(200) + end));
    expect(names.map(toolNameProblem)).toEqual([undefined, undefined]);
    expect(new Set(names).size).toBe(2);
    expect(mcpPrefix('日本')).toBeUndefined();
  });

  test('servers, or a server and a tool, that would share names are refused with both', () => {
    const server = { url: 'http://127.0.0.1/mcp' };
    expect(problemsOf({ 'my server': server, my_server: server })).toMatch(/"my server" and "my_server"/);
    expect(problemsOf({ git: server }, { git__push: { description: 'Pushes.' } })).toMatch(
      /"git__push".*"git__".*MCP server "git"/,
    );
  });

  test('tools of one server that would share a name are left out, with both named', () => {
    const { tools, notes } = listed([tool('a.b'), tool('a_b'), tool('c')]);
    expect([...tools.keys()]).toEqual(['it__c']);
    expect(notes).toEqual([
      '"a.b" and "a_b" are left out: each would be named "it__a_b"; exclude all but one of them',
    ]);
  });
});

describe('options', () => {
  test.each([
    [{}, /either command .* or url/],
    [{ command: 'x', url: 'http://h' }, /either command .* or url/],
    [{ url: 'ftp://h' }, /must begin with "https:\/\/"/],
    [{ url: 'http://u:secret1@h' }, /must not hold a user or password/],
    [
      { url: 'http://h', headers: { authorization: undefined } },
      /headers\.authorization.*undefined.*set that variable/,
    ],
    [
      { url: 'http://h', headers: { authorization: 'Bearer undefined' } },
      /ends in "undefined".*set that variable/,
    ],
    [{ url: 'http://h', exlude: ['x'] }, /exlude is not an option/],
    [{ url: 'http://h', tools: { x: { timeout: 'soon' } } }, /tools\.x: timeout/],
    [{ url: 'http://h', toolDefaults: { execute: 1 } }, /toolDefaults\.execute is not an option/],
  ])('%j is refused', (options, why) => {
    const said = problemsOf({ it: options });
    expect(said).toMatch(why);
    expect(said).not.toContain('secret1');
  });

  test('include and exclude choose, and a name that the server lacks is said', () => {
    const { tools, notes } = listed([tool('a'), tool('b')], {
      url: 'http://h',
      include: ['a', 'z'],
      exclude: ['b'],
    });
    expect([...tools.keys()]).toEqual(['it__a']);
    expect(notes).toEqual(['include names "z", which the server does not have']);
  });

  test.each([
    [{}, {}, true, true],
    [{ readOnlyHint: true }, {}, false, false],
    [{ idempotentHint: true }, {}, true, false],
    [{ readOnlyHint: false, destructiveHint: false }, {}, true, true],
    [{ readOnlyHint: true }, { needsApproval: true, atMostOnce: true }, true, true],
    [{}, { needsApproval: false, atMostOnce: false }, false, false],
    [{}, { retry: { maximumAttempts: 3 } }, true, false],
  ])(
    'with annotations %j and options %j ask for approval: %s, run at most once: %s',
    (annotations, said, approval, once) => {
      const made = mcpToolPolicy({ name: 'x', annotations }, { tools: { x: said } });
      expect(made).toMatchObject({ needsApproval: approval, atMostOnce: once });
      expect(mcpToolPolicy({ name: 'x', annotations }, { toolDefaults: said })).toEqual(made);
    },
  );
});

describe('schemas', () => {
  const schema = {
    type: 'object' as const,
    properties: { n: { type: 'integer', minimum: 1 }, code: { type: 'string', pattern: '^(a+)+$' } },
    required: ['n'],
  };

  test('go to the model as they are, and arguments are checked against them and passed unchanged', () => {
    const definition = listed([tool('x', { inputSchema: schema })]).tools.get('it__x');
    expect(definition?.schema).toEqual(schema);
    const good = { n: 1, other: [1], code: `${'a'.repeat(40)}b` };
    expect(definition?.parameters.safeParse(good)).toEqual({ success: true, data: good });
    expect(definition?.parameters.safeParse({ n: 0 }).success).toBe(false);
    expect(definition?.parameters.safeParse({}).success).toBe(false);
    expect(JSON.stringify(definition?.editSchema)).not.toContain('pattern');
  });

  test('that are too long, too deep or not an object leave their tool out alone', () => {
    let deep: Record<string, unknown> = {};
    for (let level = 0; level < 80; level += 1) deep = { items: deep };
    const { tools, notes } = listed([
      tool('long', { inputSchema: { type: 'object', description: 'x'.repeat(70_000) } }),
      tool('deep', { inputSchema: { type: 'object', properties: { deep } } as never }),
      tool('fine'),
    ]);
    expect([...tools.keys()]).toEqual(['it__fine']);
    expect(notes).toHaveLength(2);
  });
});

describe('results', () => {
  test('text is joined and everything else is named with kind, type and size', () => {
    expect(
      result([
        { type: 'text', text: 'one' },
        { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' },
        { type: 'resource', resource: { uri: 'file:///a', text: 'inside' } },
        { type: 'resource', resource: { uri: 'file:///b', mimeType: 'x/y', blob: 'AAA=' } },
        { type: 'resource_link', uri: 'file:///c', name: 'c', size: 7 },
        { type: 'hologram' },
      ]),
    ).toBe(
      [
        'one',
        '[audio left out: "audio/wav", 3 bytes]',
        '[resource "file:///a"]\ninside',
        '[resource left out: "file:///b", "x/y", 2 bytes]',
        '[content of a linked resource left out: "file:///c", "c", 7 bytes]',
        '[content left out: type "hologram"]',
      ].join('\n'),
    );
  });

  test('structured content is said once', () => {
    expect(result([{ type: 'text', text: '{ "a": 1 }' }], { structuredContent: { a: 1 } })).toBe(
      '{ "a": 1 }',
    );
    expect(result([{ type: 'text', text: 'a' }], { structuredContent: { content: 'a' } })).toBe('a');
    expect(result([{ type: 'text', text: 'a' }], { structuredContent: { a: 1 } })).toBe('a\n{"a":1}');
    expect(result([], { structuredContent: {} })).toBe('{}');
    expect(result([])).toBeUndefined();
  });
});

test('secrets are taken out of texts, a bearer token also without its scheme', () => {
  const secrets = secretsOf({ headers: { authorization: 'Bearer abcdef123' }, env: { SHORT: 'no' } });
  secrets.add({ 'x-key': 'later-key' });
  expect(secrets.redact('got abcdef123 and later-key, no')).toBe('got *** and ***, no');
});

describe('the file of RUNS_MCP', () => {
  test('has variables filled in, and says which are not set', () => {
    const file = {
      mcpServers: {
        a: { type: 'http', url: '${BASE:-http://h}/mcp', headers: { authorization: 'Bearer ${TOKEN}' } },
        b: { command: 'npx', args: ['-y', 'x'], disabled: true },
      },
    };
    expect(servers(file, { TOKEN: 't1' })).toEqual({
      servers: { a: { url: 'http://h/mcp', headers: { authorization: 'Bearer t1' } } },
    });
    expect(servers(file)).toEqual({ problems: ['the environment variable TOKEN is not set'] });
  });

  test.each([
    ['{', /it is not JSON/],
    ['{"servers": {}}', /the key "mcpServers"/],
    ['{"mcpServers": {"a": {"type": "sse", "url": "http://h"}}}', /"sse".*streamable HTTP replaced/],
    ['{"mcpServers": {"a": {"type": "stdio", "url": "http://h"}}}', /type "stdio" needs command/],
    ['{"mcpServers": {"a": {"type": "ws"}}}', /must be "stdio" or "http"/],
  ])('%s is refused', (text, why) => {
    const parsed = parseMcpServers(text, {});
    expect('problems' in parsed ? parsed.problems.join() : '').toMatch(why);
  });

  test('joins the tools file, whose servers and tools keep their names', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'mcp-file-'));
    await writeFile(join(dir, 'mcp.json'), '{"mcpServers": {"a": {"url": "http://h"}}}');
    const joined = (tools: ToolRegistry, path = 'mcp.json') =>
      joinMcpServers(tools, path, { cwd: dir, env: {} });
    expect(Object.keys(await joined(own({ b: { url: 'http://h' } })))).toEqual(['b', 'a']);
    await expect(joined(own({ a: { url: 'http://h' } }))).rejects.toThrow(
      /"a" is in the tools file and in RUNS_MCP/,
    );
    await expect(joined(own({}), 'none.json')).rejects.toThrow(
      /RUNS_MCP="none.json" can't be used: there is no/,
    );
    await rm(dir, { recursive: true });
  });
});

test('a call of a server that is away is refused with the reason, and never waits for the caller', () => {
  const registry: ToolRegistry = {
    names: [],
    get: () => undefined,
    definitions: () => [],
    unavailable: (name) => (name.startsWith('it__') ? 'MCP server "it" is not connected.' : undefined),
  };
  const plan = (name: string) =>
    planCalls(registry, [{ callId: 'c', name, arguments: '{}' }], [name])[0]?.plan;
  expect(plan('it__read')).toEqual({
    kind: 'refused',
    note: 'tool_failed',
    output: '{"error":{"type":"tool_failed","message":"MCP server \\"it\\" is not connected."}}',
  });
  expect(plan('other')?.kind).toBe('external');
});
