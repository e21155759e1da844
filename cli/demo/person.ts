/**
 * The person at the demo's terminal: single keys that decide about the call that waits.
 *
 * Rule: a key does what a command, the API or the Web UI would do, and nothing more; one thing at a time. What another door
 * decides meanwhile stands, and the key says so. Imported by `demo.ts`.
 */
import type { RunsClient } from '../../client/index.ts';
import type { CallSnapshot, RunSnapshot } from '../../protocol/temporal/messages.ts';
import { RunsError } from '../../protocol/errors.ts';
import { CliError } from '../../app/exit.ts';
import type { AnswerOptions } from '../answer-options.ts';
import type { CliIo, Keyboard } from '../command.ts';
import { editableArguments, editUntilTaken, textEditor } from '../edit-arguments.ts';
import { wrapped } from '../output/format.ts';
import type { Board } from '../output/progress.ts';
import { sendAndLook } from '../send-answer.ts';
import { openPage } from './open-page.ts';
import { answerCurl, keyLines, type Question } from './texts.ts';

export interface Person {
  /** Asks about a call that waits and was not asked about. Throws what a key or an answer ran into. */
  see(run: RunSnapshot): Promise<void>;
  leave(): void;
}

export interface PersonOptions {
  io: CliIo & Required<Pick<CliIo, 'ask' | 'keys'>>;
  client: RunsClient;
  board: Board;
  questionOf: (call: CallSnapshot) => Promise<Question>;
  /** Ends the demo. */
  quit: () => void;
}

export class PersonAtKeys implements Person {
  readonly #options: PersonOptions;
  readonly #keyboard: Keyboard;
  #question: Question | null = null;
  #asked = '';
  #acting: Promise<void> | null = null;
  #failure: { error: unknown } | null = null;

  constructor(options: PersonOptions) {
    this.#options = options;
    this.#keyboard = options.io.keys((key) => this.#press(key));
  }

  async see(run: RunSnapshot): Promise<void> {
    const { board, questionOf } = this.#options;
    if (run.result !== null) await this.#acting;
    if (this.#failure !== null) throw this.#failure.error;
    const call = run.calls.find(({ state }) => state === 'waiting');
    if (call === undefined || run.result !== null) {
      this.#question = null;
      return;
    }
    const key = `${run.round} ${call.callId} ${call.refusedEdit?.count ?? 0}`;
    if (key === this.#asked) return;
    this.#asked = key;
    this.#question = await questionOf(call);
    board.note(...keyLines(this.#question));
  }

  leave(): void {
    this.#keyboard.close();
  }

  #press(key: string): void {
    if (key === 'q') this.#options.quit();
    else if (this.#acting === null && this.#question !== null)
      this.#acting = this.#act(key.toLowerCase(), this.#question).finally(() => (this.#acting = null));
  }

  async #act(key: string, question: Question): Promise<void> {
    const { board, io } = this.#options;
    try {
      await this.#keyAction(key, question);
    } catch (error) {
      // Refused, by another door's decision or the end of the run; or an editor that failed. The call may wait on.
      if (error instanceof RunsError || error instanceof CliError)
        board.note(...wrapped(error.message, io.columns()));
      else this.#failure = { error };
    }
  }

  async #keyAction(key: string, question: Question): Promise<void> {
    const { board } = this.#options;
    switch (key) {
      case 'a':
        await this.#send(question, { approve: true });
        board.note('Approved.');
        break;
      case 'd':
        await this.#send(question, { deny: true });
        board.note('Denied: the tool does not run, and the model reads that.');
        break;
      case 'e':
        await this.#edit(question);
        break;
      case 'o':
        board.note(...(await this.#open(question)));
        break;
      case 'c':
        board.note('By HTTP:', `  ${answerCurl(question)}`);
    }
  }

  async #send({ runId, call }: Question, options: AnswerOptions): Promise<void> {
    const { argumentsDigest: digest, callId } = call;
    const named = digest === undefined ? options : { ...options, digest };
    await sendAndLook(this.#options.client, { runId, callId }, { ...named, by: 'you' });
    this.#question = null;
  }

  async #edit(question: Question): Promise<void> {
    const { io, board } = this.#options;
    this.#keyboard.pause();
    board.hold();
    try {
      const taken = await editUntilTaken({
        text: editableArguments(question.call.arguments),
        editor: textEditor(io.env, io.ask),
        send: async (text) => {
          await this.#send(question, { approve: true, arguments: text });
          return true;
        },
        ask: io.ask,
        say: (line) => io.stderr(`${wrapped(line, io.columns()).join('\n')}\n`),
      });
      board.note(taken === null ? 'Nothing was changed; the call waits.' : 'Approved with your arguments.');
    } finally {
      board.release();
      if (!io.signal.aborted) this.#keyboard.resume();
    }
  }

  async #open({ uiUrl }: Question): Promise<string[]> {
    if (uiUrl === null) return ['There is no Web UI here.'];
    return (await openPage(uiUrl, this.#options.io.env))
      ? ['The page is open in your browser.']
      : ['No browser could be started here. The page:', `  ${uiUrl}`];
  }
}
