/** The two packages that the build makes, as far as the sources tell: no build is needed. */
import { expect, test } from 'vitest';
import { CLIENT, CLIENT_ROOMS, PEER_RANGES, SERVER } from '../../../scripts/packages.mjs';
import { ROOMS, roomOf } from '../../support/layers.ts';
import { filesIn, importsOf, textOf } from '../../support/sources.ts';

const root = JSON.parse(textOf('package.json')) as {
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
};
/** `npm run demo` and the migrations' tool are of the checkout alone; the console is published as a bundle. */
const published = ROOMS.flatMap((room) => filesIn(room)).filter(
  (file) => !/^(?:cli\/demo|console)\//.test(file) && file !== 'store/drizzle.config.ts',
);
const packageOf = (file: string): string =>
  CLIENT_ROOMS.some((room) => room === roomOf(file)) ? CLIENT : SERVER;
const imports = published.flatMap((file) =>
  importsOf(file, textOf(file)).map(({ target }) => ({ file, target })),
);

test('every package that a published file imports is a dependency or a peer', () => {
  const problems = imports.flatMap(({ file, target }) => {
    if (!('package' in target) || target.package === 'node') return [];
    const name = target.package;
    const isShared = name === 'zod' || name.startsWith('@temporalio/');
    const known = isShared
      ? PEER_RANGES[packageOf(file) === CLIENT ? CLIENT : SERVER][name]
      : (root.dependencies[name] ?? root.peerDependencies[name]);
    return known === undefined ? [`${file}: ${name}`] : [];
  });
  expect(problems).toEqual([]);
});

test('the client imports nothing of the server', () => {
  const problems = imports.filter(
    ({ file, target }) => packageOf(file) === CLIENT && 'file' in target && packageOf(target.file) === SERVER,
  );
  expect(problems).toEqual([]);
});

test('the client depends on no package but peers', () => {
  const named = imports.flatMap(({ file, target }) =>
    packageOf(file) === CLIENT && 'package' in target && target.package !== 'node' ? [target.package] : [],
  );
  expect([...new Set(named)].filter((name) => PEER_RANGES[CLIENT][name] === undefined)).toEqual([]);
});
