/**
 * A certificate authority for one test, with a server's and a client's certificate.
 *
 * Rule: keys stand in the directory that the caller gives, and are worth nothing outside of it. Needs `openssl`. Imported by the
 * cluster's tests.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const openssl = (...args: string[]): Promise<unknown> => promisify(execFile)('openssl', args);
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

export interface Certificate {
  /** Files in PEM. */
  certificate: string;
  key: string;
}

export interface Authority {
  certificate: string;
  /** For `localhost` and 127.0.0.1, as server and as client. */
  issue(name: string): Promise<Certificate>;
}

export const createAuthority = async (dir: string, name: string): Promise<Authority> => {
  const [certificate, authorityKey] = [join(dir, `${name}.pem`), join(dir, `${name}.key`)];
  await openssl('req', '-x509', ...KEY, '-subj', `/CN=${name}`, '-keyout', authorityKey, '-out', certificate);
  return {
    certificate,
    async issue(subject) {
      const issued = { certificate: join(dir, `${subject}.pem`), key: join(dir, `${subject}.key`) };
      const subjects = ['-subj', `/CN=${subject}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
      const signer = ['-CA', certificate, '-CAkey', authorityKey];
      const end = ['-addext', 'basicConstraints=critical,CA:FALSE'];
      const out = ['-keyout', issued.key, '-out', issued.certificate];
      await openssl('req', '-x509', ...KEY, ...subjects, ...signer, ...end, ...out);
      return issued;
    },
  };
};
