/** A download that failed, with what would make it succeed. Thrown by the ways to download, read by `find-temporal.ts`. */
export class DownloadError extends Error {
  override readonly name = 'DownloadError';
  /** A sentence part: "let this machine reach …". */
  readonly fix: string;

  constructor(message: string, fix: string, cause?: unknown) {
    super(message, { cause });
    this.fix = fix;
  }
}
