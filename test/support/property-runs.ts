/**
 * How many cases a property tries. `npm run check` takes a tenth, `npm test` and CI all of them. Imported by tests.
 */
const TENTH = process.env['PROPERTY_RUNS'] === 'tenth';

/** `count`, or a tenth of it in the check before a commit. */
export const propertyRuns = (count: number): number => (TENTH ? Math.ceil(count / 10) : count);
