/**
 * The page of a public entry, from the model that the API extractor makes of its declarations.
 *
 * Rule: pure; the text follows from the model alone. The comment of a declaration is its documentation, so a name without one
 * is a problem. Only `api-report.mjs` imports it.
 */

/** What a program can import. */
const EXPORTED = new Set(['Class', 'Enum', 'Function', 'Interface', 'Namespace', 'TypeAlias', 'Variable']);

/** Names of exports that have no comment. */
export function undocumented(model) {
  return exportsOf(model)
    .filter((item) => comment(item) === '')
    .map(({ name }) => name);
}

/** `entry` is what a program imports, such as `durable-runs/worker`. */
export function pageOf(entry, model) {
  const items = exportsOf(model);
  const index = items.map((item) => `- [${item.name}](#${item.name.toLowerCase()})`);
  return `${[
    `# ${entry}`,
    'Written by `npm run api:update` from the comments of the sources.',
    index.join('\n'),
    ...items.flatMap(sectionOf),
  ].join('\n\n')}\n`;
}

function exportsOf({ members: [entry] }) {
  return entry.members
    .filter(({ kind }) => EXPORTED.has(kind))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function sectionOf(item) {
  const members = (item.members ?? []).filter(
    ({ name, kind }) => name !== undefined || kind === 'Constructor',
  );
  const described = members.filter((member) => comment(member) !== '');
  return [
    `## ${item.name}`,
    ...(comment(item) === '' ? [] : [comment(item)]),
    `\`\`\`ts\n${declarationOf(item, members)}\n\`\`\``,
    ...(described.length === 0
      ? []
      : [
          described
            .map((member) => `- \`${member.name ?? 'constructor'}\`: ${comment(member, ' ')}`)
            .join('\n'),
        ]),
  ];
}

/** The declaration in TypeScript; members of classes and interfaces stand inside of it. */
function declarationOf(item, members) {
  const head = textOf(item).replace(/^export (?:declare )?/, '');
  if (item.kind !== 'Class' && item.kind !== 'Interface') return head;
  return `${head.trimEnd()} {\n${members.map((member) => `  ${textOf(member).replaceAll('\n', '\n  ')}`).join('\n')}\n}`;
}

function textOf({ excerptTokens }) {
  return excerptTokens
    .map(({ text }) => text)
    .join('')
    .replaceAll(/ +$/gm, '')
    .trim();
}

/** The text of a comment, without its frame; lines of one paragraph are joined. */
function comment({ docComment = '' }, between = '\n\n') {
  return docComment
    .replace(/^\/\*\*|\*\/\s*$/g, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trim())
    .join('\n')
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) => paragraph.replaceAll('\n', ' '))
    .join(between);
}
