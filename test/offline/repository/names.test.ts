/** One exported name has one meaning in the whole source tree: what an engineer finds by search is the only one. */
import { expect, test } from 'vitest';
import { filesIn, textOf } from '../../support/sources.ts';
import { ROOMS } from '../../support/layers.ts';

const EXPORTED =
  /^export (?:declare )?(?:async )?(?:abstract )?(?:const|function\*?|class|interface|type|enum) (\w+)/gm;

/** Exported names that stand in more than one file, with the files. */
const duplicates = (files: readonly (readonly [name: string, text: string])[]): string[] => {
  const places = new Map<string, string[]>();
  for (const [file, text] of files) {
    for (const name of new Set([...text.matchAll(EXPORTED)].map(([, found = '']) => found))) {
      places.set(name, [...(places.get(name) ?? []), file]);
    }
  }
  return [...places].flatMap(([name, at]) => (at.length > 1 ? [`${name}: ${at.join(', ')}`] : []));
};

test('an exported name stands in one source file only', () => {
  const sources = ROOMS.flatMap((room) => filesIn(room)).map((file) => [file, textOf(file)] as const);
  expect(sources.length).toBeGreaterThan(200);
  expect(duplicates(sources)).toEqual([]);
});

test('a name that two files export is found', () => {
  const text = 'export const parse = 1;\nexport interface Options {}';
  expect(
    duplicates([
      ['a.ts', text],
      ['b.ts', 'export function parse() {}'],
    ]),
  ).toEqual(['parse: a.ts, b.ts']);
});

test('whether a value is an object with fields is decided in one file only', () => {
  const decides = /(\w+) !== null && !Array\.isArray\(\1\)/;
  const files = ROOMS.flatMap((room) => filesIn(room)).filter((file) => decides.test(textOf(file)));
  expect(files).toEqual(['protocol/rules/is-record.ts']);
});
