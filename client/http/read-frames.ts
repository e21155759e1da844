/**
 * Reads the frames of this project's event streams.
 *
 * Rule: the server ends lines with LF and writes `data` on one line, so a frame is what stands before an empty line; a frame
 * that a broken connection leaves unfinished is dropped. Pure. Imported by `approvals-client.ts` and the
 * console.
 */
export interface StreamFrame {
  event: string;
  data: string;
  id: string | null;
}

const frameOf = (text: string): StreamFrame | null => {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(': ');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2));
  }
  const data = fields.get('data');
  return data === undefined
    ? null
    : { event: fields.get('event') ?? 'message', data, id: fields.get('id') ?? null };
};

export async function* readFrames(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamFrame> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + decoder.decode(value, { stream: true })).split('\n\n');
      rest = parts.pop() ?? '';
      for (const part of parts) {
        const frame = frameOf(part);
        if (frame !== null) yield frame;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
