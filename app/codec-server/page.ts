/**
 * The page on which an operator signs in and out of the codec endpoint.
 *
 * Rule: no script, no foreign origin; every text that varies is escaped. Pure. Imported by `app.ts`.
 */
import { html } from 'hono/html';

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;color:#111;background:#fff}
input,button{font:inherit;padding:.5rem .75rem;border:1px solid #666;border-radius:.25rem}
input{width:100%;box-sizing:border-box;margin:.25rem 0 1rem}code{word-break:break-all}.problem{color:#b00020}
@media (prefers-color-scheme:dark){body{color:#eee;background:#111}input,button{color:#eee;background:#222}.problem{color:#ff8a95}}`;

const frame = (content: unknown) =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Payload codec</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        <main>
          <h1>Payload codec</h1>
          ${content}
        </main>
      </body>
    </html>`;

/** `problem`: why the last attempt failed. */
export const signInPage = (problem: string | null) =>
  frame(
    html`<p>
        Temporal's Web UI decrypts payloads here. Sign in with an API key that has the role
        <strong>operator</strong>.
      </p>
      ${problem === null ? '' : html`<p class="problem" role="alert">${problem}</p>`}
      <form method="post" action="sign-in">
        <label for="key">API key</label>
        <input id="key" name="key" type="password" autocomplete="current-password" required autofocus />
        <button type="submit">Sign in</button>
      </form>`,
  );

/** `name` signed in; `endpoint` is what the Web UI's settings take. Without a name no sign-in is needed. */
export const signedInPage = (name: string | null, endpoint: string) =>
  frame(
    html`<p>
        ${name === null ? 'No sign-in is needed on this machine.' : html`Signed in as <strong>${name}</strong>.`}
      </p>
      <p>In Temporal's Web UI, open the data encoder settings and set the remote codec endpoint to</p>
      <p><code>${endpoint}</code></p>
      ${
        name === null
          ? ''
          : html`<p>and turn on <em>Include cross-origin credentials</em>.</p>
              <form method="post" action="sign-out"><button type="submit">Sign out</button></form>`
      }`,
  );

/** `content-security-policy` of both pages. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
