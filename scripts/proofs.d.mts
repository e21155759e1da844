/** Types of `proofs.mjs`, which `npm test` runs without a compiler. */
export type BackendName = 'assistants' | 'chat';
export declare const BACKENDS: readonly BackendName[];

export interface Proof {
  backends: readonly BackendName[];
  /** Path from the root of the checkout. */
  file: string;
  /** A part of the test's own name. */
  name: string;
}

export interface Row {
  number: number;
  title: string;
  promise: string;
  proofs: Proof[];
  /** Why there is nothing to prove, for each backend where there is not. */
  none: Partial<Record<BackendName, string>>;
  /** What no test shows; empty when nothing is said. */
  open: string;
  /** List lines that are of no known kind. */
  stray: string[];
}

export interface TestFileResult {
  /** Absolute path. */
  name: string;
  assertionResults: { title: string; status: string }[];
}

export declare function rowsOf(markdown: string): Row[];
export declare function unproved(
  rows: readonly Row[],
  results: readonly TestFileResult[],
  root: string,
): string[];
