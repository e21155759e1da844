/** A program's workflow under a name of this project, for tests of the plugin. */
export async function run(): Promise<string> {
  return 'another';
}
