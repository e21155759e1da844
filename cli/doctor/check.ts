/**
 * The checks of `runs doctor`: their shape, and how they run, one after the other, each with the results of the earlier
 * ones.
 *
 * Rule: a check never throws out of the doctor; its error is its finding. A problem always has a fix. A check that
 * depends on a failed one is skipped, not failed: one cause, one problem. No imports of Temporal here.
 */
import { CliError } from '../../app/exit.ts';
import { RunsError } from '../../protocol/errors.ts';

export interface Finding {
  /** `skipped`: needs another check to pass first, or does not apply to this configuration. */
  state: 'ok' | 'problem' | 'skipped';
  detail: string;
  /** What to do about a problem. */
  fix?: string;
}

export interface Check {
  /** For `--only` and for scripts. */
  name: string;
  /** Checks that must be ok first. */
  needs: readonly string[];
  run(): Promise<Finding>;
}

export type Diagnosis = Finding & { name: string };

export const ok = (detail: string): Finding => ({ state: 'ok', detail });
export const problem = (detail: string, fix: string): Finding => ({ state: 'problem', detail, fix });
export const skipped = (detail: string): Finding => ({ state: 'skipped', detail });

export const diagnose = async (
  checks: readonly Check[],
  only: readonly string[],
  onFinding: (diagnosis: Diagnosis) => void,
): Promise<Diagnosis[]> => {
  const wanted = only.length === 0 ? new Set(checks.map((check) => check.name)) : withNeeds(checks, only);
  const found = new Map<string, Diagnosis>();
  for (const check of checks) {
    if (!wanted.has(check.name)) continue;
    const missing = check.needs.filter((name) => found.get(name)?.state !== 'ok');
    const finding =
      missing.length > 0
        ? skipped(`needs ${missing.join(' and ')} to be in order first`)
        : await attempt(check);
    const diagnosis = { name: check.name, ...finding };
    found.set(check.name, diagnosis);
    onFinding(diagnosis);
  }
  return [...found.values()];
};

const withNeeds = (checks: readonly Check[], names: readonly string[]): Set<string> => {
  const wanted = new Set<string>();
  const add = (name: string): void => {
    if (wanted.has(name)) return;
    wanted.add(name);
    for (const need of checks.find((check) => check.name === name)?.needs ?? []) add(need);
  };
  names.forEach(add);
  return wanted;
};

const attempt = async (check: Check): Promise<Finding> => {
  try {
    return await check.run();
  } catch (error) {
    // Messages of these two say what to do themselves.
    if (error instanceof RunsError || error instanceof CliError)
      return { state: 'problem', detail: error.message };
    return { state: 'problem', detail: error instanceof Error ? error.message : String(error) };
  }
};
