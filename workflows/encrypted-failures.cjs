'use strict';
/**
 * The failure converter of encrypted runs: message and stack of a failure become a payload, which the codec then encrypts.
 *
 * Rule: the types of failures stay readable, since code branches on them. CommonJS, since the SDK loads the file by its path, in the
 * worker and in the workflow bundle.
 */
const { DefaultFailureConverter } = require('@temporalio/common');

exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
