/**
 * Reads docs/contributing/faults.md as data: rows of faults, and the tests that they name as proofs.
 *
 * Rule: a row is a heading `### 7. Title`. Its lists hold proofs, "- chat · `test/live/x.test.ts` › part of a test's name",
 * and words: "- Open: …" for what no test shows, "- chat · none: …" where there is nothing to prove and why.
 * No imports. `npm test` and the matrix's own test import it.
 */

/** Who a line speaks of. */
export const BACKENDS = ['assistants', 'chat'];

const ROW = /^### (\d+)\. (.+)$/;
const PROOF = /^- (?:(both|assistants|chat) · )`(test\/[\w./-]+\.test\.ts)` › (.+)$/;
const NONE = /^- (both|assistants|chat) · none: (.+)$/;
const OPEN = /^- Open: (.+)$/;

const backendsOf = (who) => (who === 'both' ? BACKENDS : [who]);

/** Rows in the order of the text. `stray` are list lines of a row that are none of the three kinds. */
export function rowsOf(markdown) {
  const rows = [];
  let row;
  for (const line of joined(markdown)) {
    const [, number, title] = ROW.exec(line) ?? [];
    if (title !== undefined) {
      row = { number: Number(number), title, promise: '', proofs: [], none: {}, open: '', stray: [] };
      rows.push(row);
    } else if (line.startsWith('##')) row = undefined;
    else if (row !== undefined) read(row, line);
  }
  return rows;
}

function read(row, line) {
  const [, who, file, name] = PROOF.exec(line) ?? [];
  if (name !== undefined) {
    row.proofs.push({ backends: backendsOf(who), file, name });
    return;
  }
  const [, missing, why] = NONE.exec(line) ?? [];
  const [, open] = OPEN.exec(line) ?? [];
  if (why !== undefined) for (const backend of backendsOf(missing)) row.none[backend] = why;
  else if (open !== undefined) row.open = open;
  else if (line.startsWith('- ')) row.stray.push(line);
  else if (line.trim() !== '') row.promise = `${row.promise} ${line.trim()}`.trim();
}

/** Lines, with the wrapped rest of a list item put back to its beginning. */
function joined(markdown) {
  const lines = [];
  for (const line of markdown.split('\n'))
    if (/^ {2,}\S/.test(line) && lines.at(-1)?.startsWith('- ')) lines[lines.length - 1] += ` ${line.trim()}`;
    else lines.push(line);
  return lines;
}

/**
 * Proofs that a run of all tests skipped, a sentence for each. Failed tests are reported elsewhere.
 * `results` are `testResults` of vitest's JSON report, `root` the folder that their absolute names begin with.
 */
export function unproved(rows, results, root) {
  const files = new Map(results.map(({ name, assertionResults }) => [slashed(name), assertionResults]));
  return rows.flatMap(({ number, proofs }) =>
    proofs.flatMap(({ file, name }) => {
      const pattern = titles(name);
      const tests = files.get(`${slashed(root).replace(/\/$/, '')}/${file}`) ?? [];
      const meant = tests.filter(({ title }) => pattern.test(title));
      const ran = meant.length > 0 && meant.every(({ status }) => status === 'passed' || status === 'failed');
      return ran ? [] : [`row ${number}: ${JSON.stringify(`${file} › ${name}`)} did not run`];
    }),
  );
}

/** Titles that a name means: those of `test.each` stand in the sources with placeholders, and in a report filled in. */
function titles(name) {
  const literals = name.split(/%[sdifjoO#]/);
  return new RegExp(literals.map((text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*'), 'su');
}

const slashed = (path) => path.replaceAll('\\', '/');
