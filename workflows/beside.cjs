'use strict';
/**
 * Entry of a bundle that holds a program's own workflows beside those of this project; `DurableRunsPlugin` puts it in the place of the
 * program's entry, which `durable-runs-own-workflows` then names.
 *
 * Rule: a workflow name means one workflow. CommonJS, since the names of the other entry are known only when it is loaded.
 */
const runs = require('./index');
const own = require('durable-runs-own-workflows');

for (const name of Object.keys(runs))
  if (own[name] !== undefined && own[name] !== runs[name])
    throw new Error(
      `The workflow name "${name}" is durable-runs' own. To fix it, export the other workflow under another name.`,
    );

module.exports = { ...own, ...runs };
