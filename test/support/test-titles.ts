/**
 * The names of the tests in a file, read from its text: a document may name a test without running it.
 *
 * Rule: a name is the first argument of `test(…)` or of what `test.each(…)` and its like return, if it is a plain string;
 * its placeholders (`%s`, `$name`) stay as they are written. Tests that are left out (`skip`, `todo`, `fails`) have no name
 * here. Strings, comments and regular expressions on the way are passed over, not read.
 */

const OPENING = '([{';
const CLOSING = ')]}';
const REGEX_MAY_FOLLOW = /[(,=:[!&|?{};>]\s*$/;

/** Index behind what begins at `at` and is no code: a string, a template, a comment, a regular expression. `at` if none does. */
const behindText = (source: string, at: number): number => {
  const char = source[at] ?? '';
  if (source.startsWith('//', at)) return lineEnd(source, at);
  if (source.startsWith('/*', at)) return source.indexOf('*/', at) + 2;
  if (char === "'" || char === '"' || char === '`') return behindQuote(source, at, char);
  if (char === '/' && REGEX_MAY_FOLLOW.test(source.slice(Math.max(0, at - 40), at)))
    return behindRegex(source, at);
  return at;
};

const lineEnd = (source: string, at: number): number => {
  const end = source.indexOf('\n', at);
  return end === -1 ? source.length : end;
};

const behindQuote = (source: string, at: number, quote: string): number => {
  for (let end = at + 1; end < source.length; end++) {
    if (source[end] === '\\') end++;
    else if (source[end] === quote) return end + 1;
    else if (quote === '`' && source.startsWith('${', end)) end = behindGroup(source, end + 1) - 1;
  }
  return source.length;
};

const behindRegex = (source: string, at: number): number => {
  let inClass = false;
  for (let end = at + 1; end < source.length; end++) {
    const char = source[end];
    if (char === '\\') end++;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '\n' || (char === '/' && !inClass)) return end + 1;
  }
  return source.length;
};

/** Index behind the bracket that closes the one at `at`. */
const behindGroup = (source: string, at: number): number => {
  let depth = 0;
  for (let next = at; next < source.length;) {
    const behind = behindText(source, next);
    if (behind > next) {
      next = behind;
      continue;
    }
    const char = source[next] ?? '';
    if (OPENING.includes(char)) depth++;
    if (CLOSING.includes(char) && --depth === 0) return next + 1;
    next++;
  }
  return source.length;
};

/** Type arguments: the only place here where `>` may be part of `=>`. */
const behindTypes = (source: string, at: number): number => {
  let depth = 0;
  for (let next = at; next < source.length; next++) {
    if (source[next] === '<') depth++;
    else if (source[next] === '>' && source[next - 1] !== '=' && --depth === 0) return next + 1;
  }
  return source.length;
};

const behindSpace = (source: string, at: number): number =>
  at + (/^\s*/.exec(source.slice(at))?.[0].length ?? 0);

const unescaped = (literal: string): string =>
  literal
    .slice(1, -1)
    .replaceAll(/\\(u[0-9a-f]{4}|.)/gi, (_all, code: string) =>
      code.length === 5
        ? String.fromCharCode(Number.parseInt(code.slice(1), 16))
        : code === 'n'
          ? '\n'
          : code,
    );

/** The name in the chain of calls that begins behind `test`; undefined when it has none that can be read. */
const titleBehind = (source: string, from: number): string | undefined => {
  for (let at = behindSpace(source, from); at < source.length; at = behindSpace(source, at)) {
    const [member = ''] = /^\.\w+/.exec(source.slice(at, at + 40)) ?? [];
    if (/^\.(skip|todo|fails)$/.test(member)) return undefined;
    if (member !== '') at += member.length;
    else if (source[at] === '<') at = behindTypes(source, at);
    else if (source[at] === '(') {
      const first = behindSpace(source, at + 1);
      const end = /^['"`]/.test(source[first] ?? '') ? behindText(source, first) : first;
      if (end > first && source[behindSpace(source, end)] === ',') return unescaped(source.slice(first, end));
      at = behindGroup(source, at);
    } else return undefined;
  }
  return undefined;
};

/** Names of the tests that a file holds, in order. */
export const testTitles = (source: string): string[] => {
  const titles: string[] = [];
  for (let at = 0; at < source.length;) {
    const behind = behindText(source, at);
    if (behind > at) at = behind;
    else if (/^(?:test|it)\b/.test(source.slice(at, at + 5)) && !/[\w.$]/.test(source[at - 1] ?? '')) {
      const title = titleBehind(source, at + 4 - (source[at] === 'i' ? 2 : 0));
      if (title !== undefined) titles.push(title);
      at += 2;
    } else at++;
  }
  return titles;
};
