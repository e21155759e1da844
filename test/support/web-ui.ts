/**
 * Temporal's Web UI as a person uses it: open a run's page, send a signal or an update by its dialog, read the run's
 * details. Headless Chromium, the real UI of the dev server.
 *
 * Rule: a test touches visible elements only, and each step waits for the element that it needs. Imported by
 * `test/live/ui-*`.
 */
import { existsSync } from 'node:fs';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export const launchBrowser = async (): Promise<Browser> => {
  const executablePath = PLACES.find((path) => existsSync(path));
  if (executablePath === undefined)
    throw new Error(
      `These tests need Chromium at one of ${PLACES.join(', ')}. Install the package "chromium".`,
    );
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
};

export interface Message {
  /** Name of the handler, as the dialog offers it. */
  name: string;
  /** What is typed into the input field; empty = nothing is typed. */
  input: string;
  /** Signals only. Default `json/plain`. */
  encoding?: 'json/plain' | 'json/protobuf';
}

/** A browser, or a context of it with settings of its own. */
type Opener = Pick<Browser, 'newPage'>;

export class RunPage {
  readonly #browser: Opener;
  readonly #url: string;
  page: Page;

  private constructor(browser: Opener, url: string, page: Page) {
    this.#browser = browser;
    this.#url = url;
    this.page = page;
  }

  static async open(browser: Opener, uiUrl: string, runId: string): Promise<RunPage> {
    const url = `${uiUrl}/namespaces/default/workflows/${encodeURIComponent(runId)}`;
    const run = new RunPage(browser, url, await newPage(browser));
    await run.#show();
    return run;
  }

  close(): Promise<void> {
    return this.page.close();
  }

  /** Sends a signal; resolves when the server has taken it, which is all that anybody is told about a signal. */
  async signal(message: Message): Promise<void> {
    const dialog = await this.#openDialog('Send a Signal', 'signal', message);
    const [response] = await Promise.all([
      this.page.waitForResponse((reply) => /\/signal\b/.test(reply.url())),
      confirm(dialog),
    ]);
    if (!response.ok())
      throw new Error(`The signal was not taken: ${response.status()} ${await response.text()}`);
    await this.#again();
  }

  /** Sends an update. The failure message that the dialog shows, or null when it was accepted. */
  async update(message: Message): Promise<string | null> {
    const dialog = await this.#openDialog('Send an Update', 'update', message);
    await confirm(dialog);
    const refused = dialog.getByRole('alert').filter({ hasText: /\S/ });
    await Promise.race([refused.first().waitFor(), dialog.waitFor({ state: 'hidden' })]);
    const text = (await dialog.isVisible()) ? (await refused.first().innerText()).trim() : null;
    await this.#again();
    return text;
  }

  /** What the tab "User Metadata" shows, as text: summary, details and current details. */
  async userMetadata(): Promise<string> {
    await this.#metadataTab().click();
    const frames = this.page.locator('iframe').filter({ visible: true });
    await frames.first().waitFor();
    const texts: string[] = [];
    for (const frame of await frames.all())
      texts.push(await frame.contentFrame().locator('body').innerText());
    return texts.join('\n');
  }

  /** The handlers that a dialog offers, with their descriptions. */
  async offered(kind: 'signal' | 'update'): Promise<string> {
    const title = kind === 'signal' ? 'Send a Signal' : 'Send an Update';
    const dialog = await this.#openMenu(title);
    await dialog.getByTestId(`${kind}-select-button`).click();
    const text = await dialog.getByRole('listbox').first().innerText();
    await dialog.getByTestId('cancel-modal-button').click();
    return text;
  }

  /**
   * A fresh page for the next message: each one leaves a long poll behind, and a browser opens six connections to a host,
   * so a page that is used again and again ends at a spinner.
   */
  async #again(): Promise<void> {
    await this.page.close();
    this.page = await newPage(this.#browser);
    await this.#show();
  }

  async #show(): Promise<void> {
    await this.page.goto(this.#url, { waitUntil: 'domcontentloaded' });
    await this.#metadataTab().waitFor();
  }

  #metadataTab(): Locator {
    return this.page.getByRole('tab', { name: 'User Metadata' }).filter({ visible: true }).first();
  }

  #moreActions(): Locator {
    return this.page.getByRole('button', { name: 'More Actions' }).filter({ visible: true });
  }

  async #openMenu(title: string): Promise<Locator> {
    await this.#moreActions().click();
    await this.page.getByRole('menuitem').filter({ visible: true, hasText: title }).first().click();
    const dialog = this.page.locator('dialog[open]').filter({ hasText: title });
    await dialog.waitFor();
    return dialog;
  }

  async #openDialog(title: string, kind: 'signal' | 'update', message: Message): Promise<Locator> {
    const dialog = await this.#openMenu(title);
    await dialog.getByTestId(`${kind}-select-button`).click();
    await dialog.getByRole('option').filter({ hasText: message.name }).first().click();
    if (message.encoding === 'json/protobuf') {
      // Before anything is typed: a click that leaves the editor is spent on leaving it.
      await dialog.getByLabel('json/protobuf', { exact: true }).click();
      await dialog.getByTestId('messageType').fill('some.Message');
    }
    if (message.input !== '') {
      const editor = dialog.getByRole('textbox', { name: 'Data' });
      await editor.click();
      // As if pasted: typed text would get the editor's own closing brackets.
      await this.page.keyboard.insertText(message.input);
    }
    return dialog;
  }
}

const newPage = (browser: Opener): Promise<Page> =>
  browser.newPage({ viewport: { width: 1400, height: 1000 } });

/** Leaving the editor formats its text, which moves the button: first leave, then click. */
const confirm = async (dialog: Locator): Promise<void> => {
  const button = dialog.getByTestId('confirm-modal-button');
  await button.focus();
  await button.click();
};
