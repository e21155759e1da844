/**
 * Bodies that cost a naive server more than they are worth: those that an audit sent, and generated members of each kind.
 * Each is made when it is sent, since together they are larger than memory.
 */

export interface HostileBody {
  name: string;
  path: string;
  body: () => string;
}

/** What the paths are filled with. */
export interface Places {
  thread: string;
  /** The thread of the run. */
  runThread: string;
  run: string;
  assistant: string;
}

const MB = 1_000_000;
const list = (item: string, bytes: number): string =>
  `[${`${item},`.repeat(Math.floor(bytes / (item.length + 1)))}${item}]`;
const text = (bytes: number, unit = 'x'): string => unit.repeat(Math.floor(bytes / Buffer.byteLength(unit)));
const times = <Item>(count: number, item: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, index) => item(index));

/** Numbers that look random and are the same each time. */
const generator = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
};

const FILLERS: readonly ((bytes: number) => string)[] = [
  (bytes) => list('{}', bytes),
  (bytes) => list('[]', bytes),
  (bytes) => list('1', bytes),
  (bytes) => list('""', bytes),
  (bytes) => list('null', bytes),
  (bytes) => list('{"a":1}', bytes),
  (bytes) => list('{"type":"text","text":""}', bytes),
  (bytes) => list('{"role":"user","content":"x"}', bytes),
  (bytes) => list('-1.5e300', bytes),
  (bytes) => `"${text(bytes)}"`,
  (bytes) => `"${text(bytes, '\\u0041')}"`,
  (bytes) => `"${text(bytes, '\\n')}"`,
  (bytes) => `"${text(bytes, 'é')}"`,
  (bytes) => `"${text(bytes, '😀')}"`,
  (bytes) => `"${text(bytes)}語"`,
  (bytes) => `{"${text(bytes)}":1}`,
  (bytes) => `{${times(Math.min(19_000, Math.floor(bytes / 12)), (at) => `"k${at}":1`).join(',')}}`,
  (bytes) => `{${`"a":1,`.repeat(Math.floor(bytes / 6))}"a":1}`,
  (bytes) => '['.repeat(bytes),
  (bytes) => `${'['.repeat(60)}${'1,'.repeat(Math.floor(bytes / 2))}1${']'.repeat(60)}`,
  (bytes) => `{"__proto__":${list('{"__pr\\u006fto__":1}', bytes)}}`,
  (bytes) => `${text(bytes, ' ')}1`,
  (bytes) => text(bytes, '1'),
];

const FRAMES: readonly [path: string, frame: (filler: string) => string][] = [
  ['/threads', (it) => `{"messages":${it}}`],
  ['/threads', (it) => `{"messages":[{"role":"user","content":${it}}]}`],
  ['/threads', (it) => `{"metadata":${it}}`],
  ['/threads/THREAD/messages', (it) => `{"role":"user","content":${it}}`],
  ['/threads/THREAD/messages', (it) => `{"role":${it},"content":"x"}`],
  ['/threads/THREAD/messages', (it) => `{"role":"user","content":"x","attachments":${it}}`],
  ['/threads/THREAD/runs', (it) => `{"assistant_id":"ASSISTANT","tools":${it}}`],
  ['/threads/THREAD/runs', (it) => `{"assistant_id":${it}}`],
  ['/threads/THREAD/runs', (it) => `{"assistant_id":"ASSISTANT","additional_messages":${it}}`],
  ['/threads/runs', (it) => `{"assistant_id":"ASSISTANT","thread":{"messages":${it}}}`],
  ['/threads/runs', (it) => `{"assistant_id":"ASSISTANT","response_format":${it}}`],
  ['/threads/OWNER/runs/RUN/submit_tool_outputs', (it) => `{"tool_outputs":${it}}`],
  ['/threads/OWNER/runs/RUN/answers', (it) => `{"call_id":"call_1","output":${it}}`],
  ['/assistants', (it) => `{"model":"m","instructions":${it}}`],
  [
    '/assistants',
    (it) => `{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":${it}}}]}`,
  ],
  ['/assistants', (it) => it],
];

const SIZES = [20_000, 60_000, 250_000, MB, 4 * MB, 8_300_000];

const generated = (count: number): HostileBody[] => {
  const next = generator(20_261_126);
  return times(count, (at) => {
    const [path, frame] = FRAMES[next(FRAMES.length)] ?? ['/threads', (it: string) => it];
    const filler = next(FILLERS.length);
    const bytes = SIZES[next(SIZES.length)] ?? MB;
    return {
      name: `generated ${at}: filler ${filler}, ${bytes} bytes`,
      path,
      body: () => frame(FILLERS[filler]?.(bytes) ?? ''),
    };
  });
};

const output = (id: string): string => `{"tool_call_id":"${id}","output":""}`;
const SUBMIT = '/threads/OWNER/runs/RUN/submit_tool_outputs';
const MESSAGE = '/threads/THREAD/messages';

const named: readonly [name: string, path: string, body: () => string][] = [
  ['2,700,000 empty messages', '/threads', () => `{"messages":${list('{}', 8_300_000)}}`],
  ['100,000 empty parts', MESSAGE, () => `{"role":"user","content":${list('{}', 300_000)}}`],
  ['19,000 empty parts', MESSAGE, () => `{"role":"user","content":${list('{}', 57_000)}}`],
  ['4,100,000 outputs', SUBMIT, () => `{"tool_outputs":${list('1', 8_300_000)}}`],
  ['2,000,000 outputs in 4 MB', SUBMIT, () => `{"tool_outputs":${list('1', 4_100_000)}}`],
  ['215,000 ids', SUBMIT, () => `{"tool_outputs":[${times(215_000, (at) => output(`c${at}`)).join(',')}]}`],
  ['6,000 ids', SUBMIT, () => `{"tool_outputs":[${times(6_000, (at) => output(`c${at}`)).join(',')}]}`],
  ['512 ids', SUBMIT, () => `{"tool_outputs":[${times(512, (at) => output(`c${at}`)).join(',')}]}`],
  [
    'a part of 7.5 MB',
    MESSAGE,
    () => `{"role":"user","content":[{"type":"text","text":"${text(7_500_000)}"}]}`,
  ],
  ['the largest text, escaped', MESSAGE, () => `{"role":"user","content":"${'\\u8a9e'.repeat(256_000)}"}`],
  [
    'the largest parts',
    MESSAGE,
    () => `{"role":"user","content":${list(`{"type":"text","text":"${text(4_000)}"}`, 250_000)}}`,
  ],
  [
    'the largest image',
    MESSAGE,
    () => `{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:${text(4_190_000)}"}}]}`,
  ],
  [
    '512 messages, 8 MB',
    '/threads',
    () => `{"messages":[${times(512, () => `{"role":"user","content":"${text(16_000)}"}`).join(',')}]}`,
  ],
  [
    '30 texts of 256,000',
    '/threads',
    () => `{"messages":[${times(30, () => `{"role":"user","content":"${text(256_000)}"}`).join(',')}]}`,
  ],
  [
    '128 tools, 1 MB',
    '/assistants',
    () =>
      JSON.stringify({
        model: 'm',
        tools: times(128, (at) => ({
          type: 'function',
          function: { name: `f${at}`, description: text(8_000) },
        })),
      }),
  ],
  [
    'a schema of 19,000 values',
    '/assistants',
    () =>
      `{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{"enum":${list('1', 38_000)}}}}]}`,
  ],
  ['spaces', '/threads', () => text(8_300_000, ' ')],
  ['not closed', '/threads', () => `{"metadata":{"a":"${text(8_300_000)}`],
  ['garbage at the end', '/threads', () => `{"metadata":{"a":"${text(8_300_000)}"}}x`],
];

export const hostileBodies = (places: Places, generatedCount: number): HostileBody[] => {
  const filled = (template: string): string =>
    template
      .replaceAll('OWNER', places.runThread)
      .replaceAll('THREAD', places.thread)
      .replaceAll('RUN', places.run)
      .replaceAll('ASSISTANT', places.assistant);
  return [...named.map(([name, path, body]) => ({ name, path, body })), ...generated(generatedCount)].map(
    (one) => ({
      name: one.name,
      path: filled(one.path),
      body: () => filled(one.body()),
    }),
  );
};
