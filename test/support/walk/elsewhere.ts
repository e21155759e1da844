/** Commands of the documents that the walk does not type, for its last test. Rule: each says where it runs, or why it can't. */
export const ELSEWHERE: Record<string, string> = {
  'npm cit': 'runs this test',
  'npm test': 'runs this test',
  'npm run check': 'is the offline part of the tests',
  'npm run bench': 'measures for minutes, and needs an idle machine',
  'npm run drill': 'test/live/chaos',
  'npm run test:clients':
    'installs compilers and clients of five languages; its results are kept and compared',
  'npm run test:cluster': 'builds a Temporal server for minutes',
  'npm run test:models': 'builds model servers for minutes',
  'npm run api:update': 'test/offline/repository/api-report.test.ts',
  'npm run build': 'test/live/packages/build.test.ts',
  'npm run build:console': 'a part of the build',
  'npm run types': 'is a part of the check',
  'npm run pack': 'test/live/packages/client-package.test.ts',
  'npm install': 'test/live/packages/client-package.test.ts',
  'docker compose up':
    'test/live/cli/compose-jobs.test.ts runs its commands; there may be no container engine',
  'runs codec-server':
    'test/offline/app/codec-server.test.ts runs its server; the Web UI uses it in test/live/worker',
  ...Object.fromEntries(
    ['add', 'list', 'test', 'deliveries', 'redeliver', 'rotate', 'remove'].map((action) => [
      `runs webhooks ${action}`,
      'test/live/service/webhooks.test.ts',
    ]),
  ),
  'runs migrate': 'test/live/cli/kubernetes.test.ts',
  'runs usage': 'test/offline/cli/cli-money.test.ts',
  'runs deployment promote': 'test/live/cli/deploy-builds.test.ts',
  'runs deployment ramp': 'test/live/cli/deploy-builds.test.ts',
  'runs deployment drain': 'test/live/cli/deploy-builds.test.ts',
  'temporal workflow update-options': 'test/live/cli/deploy-builds.test.ts',
};
