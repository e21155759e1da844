/**
 * CPU and memory of a process, by IPC: the measured process reports, the measuring process subtracts. Other server
 * processes are read from /proc (Linux only; elsewhere their figures are missing, and the report says so).
 */
import { type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Usage {
  /** User and system time since the process began, milliseconds. */
  cpuMs: number;
  heapBytes: number;
  rssBytes: number;
}

/** In the measured process: answers `{ usage: n }` messages. A collection first, when it was started with --expose-gc. */
export const reportUsage = (): void => {
  process.on('message', (message: { usage?: number; collect?: boolean }) => {
    if (message.usage === undefined) return;
    if (message.collect === true) globalThis.gc?.();
    const cpu = process.cpuUsage();
    const memory = process.memoryUsage();
    process.send?.({
      usage: message.usage,
      reply: {
        cpuMs: (cpu.user + cpu.system) / 1000,
        heapBytes: memory.heapUsed,
        rssBytes: memory.rss,
      } satisfies Usage,
    });
  });
};

let serial = 0;
/** In the measuring process. */
export const usageOf = (child: ChildProcess, collect = false): Promise<Usage> =>
  new Promise((resolve) => {
    const ticket = ++serial;
    const hear = (message: { usage?: number; reply?: Usage }): void => {
      if (message.usage !== ticket || message.reply === undefined) return;
      child.off('message', hear);
      resolve(message.reply);
    };
    child.on('message', hear);
    child.send({ usage: ticket, collect });
  });

/** The sum of two fields of /proc's `stat`, in ticks of 10 ms on every common kernel. */
const ticksOf = (pid: number, first: number): number | null => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[first]) + Number(fields[first + 1])) * 10;
  } catch {
    return null;
  }
};

/** CPU milliseconds (utime and stime) of any process by pid, or null where /proc does not tell. */
export const cpuOf = (pid: number): number | null => ticksOf(pid, 11);

/** Of its child processes that have ended: cutime and cstime. */
const cpuOfEndedChildren = (pid: number): number | null => ticksOf(pid, 13);

/** The same with its child processes, those that have ended included: a worker runs below the process that starts it again. */
export const cpuOfTree = (pid: number): number | null => {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    const own = (cpuOf(pid) ?? 0) + (cpuOfEndedChildren(pid) ?? 0);
    return children.reduce((sum, child) => sum + (cpuOfTree(Number(child)) ?? 0), own);
  } catch {
    return null;
  }
};

/** Resident bytes of any process by pid, or null where /proc does not tell. */
export const residentOf = (pid: number): number | null => {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    return null;
  }
};

/** The same with its child processes. */
export const residentOfTree = (pid: number): number | null => {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    return children.reduce((sum, child) => sum + (residentOfTree(Number(child)) ?? 0), residentOf(pid) ?? 0);
  } catch {
    return null;
  }
};

/** Unix milliseconds with fractions: comparable between processes of one machine. */
export const wallClock = (): number => performance.timeOrigin + performance.now();

export const quantile = (values: readonly number[], q: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
};
