/**
 * The file that RUNS_PEOPLE names: people and groups, in YAML or JSON. Imported by the API's composition, by `runs doctor` and by tests.
 */
import type { People } from '../../api/index.ts';
import { loadFile, parseYaml, type ParsedFile } from '../../worker/yaml-file.ts';
import { peopleFileSchema, peopleFrom, peopleProblems } from './people-schema.ts';

/** The people of a file's text. */
export const parsePeople = async (text: string): Promise<ParsedFile<People>> => {
  const parsed = await parseYaml(text, peopleFileSchema);
  if ('problems' in parsed) return parsed;
  const people = peopleFrom(parsed.value);
  const problems = peopleProblems(people);
  return problems.length > 0 ? { problems } : { value: people };
};

/** Throws `RunsError('config')`. */
export const loadPeopleFile = (path: string, cwd: string = process.cwd()): Promise<People> =>
  loadFile('RUNS_PEOPLE', path, cwd, parsePeople);
