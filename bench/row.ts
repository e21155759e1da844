/** A line of the runs half's table, and how much is measured for it. Imported by that half's parts. */

export interface Scale {
  /** Runs per scenario and contestant. */
  runs: number;
  /** Runs of the throughput measure. */
  burst: number;
  /** Waiting runs of the memory measure. */
  waiting: number;
}

export interface Row {
  what: string;
  direct?: number | null;
  bare: number | null;
  ours: number | null;
  unit: string;
  /** Highest ratio of ours to bare that is acceptable; null = no target. */
  target: number | null;
}
