/**
 * The text on a terminal of 80 columns and endless length after its input, as a person reads it.
 *
 * Rule: it knows the escape sequences of this project's programs, npm and line editors; others have no effect. Pure.
 */

const COLUMNS = 80;
const ESCAPE = '\u001B';
/** Behind the escape: parameters and a letter, or a string that ends by itself. */
const SEQUENCE = /^\[([?>=0-9;]*)([A-Za-z])/;

class Screen {
  readonly #rows: string[][] = [[]];
  #row = 0;
  #column = 0;

  put(letter: string): void {
    if (this.#column >= COLUMNS) this.#to(this.#row + 1, 0);
    const row = this.#line(this.#row);
    while (row.length < this.#column) row.push(' ');
    row[this.#column] = letter;
    this.#column += 1;
  }

  control(letter: string): void {
    if (letter === '\r') this.#column = 0;
    else if (letter === '\n') this.#to(this.#row + 1, this.#column);
    else if (letter === '\b') this.#column = Math.max(0, this.#column - 1);
  }

  sequence(parameters: string, letter: string): void {
    const count = Number.parseInt(parameters, 10) || 0;
    const steps = Math.max(1, count);
    if (letter === 'A') this.#to(Math.max(0, this.#row - steps), this.#column);
    else if (letter === 'C') this.#column += steps;
    else if (letter === 'D') this.#column = Math.max(0, this.#column - steps);
    else if (letter === 'G') this.#column = steps - 1;
    else if (letter === 'K' && count === 0) this.#line(this.#row).splice(this.#column);
    else if (letter === 'J' && count === 0) {
      this.#line(this.#row).splice(this.#column);
      this.#rows.splice(this.#row + 1);
    }
  }

  text(): string {
    return this.#rows.map((row) => row.join('').trimEnd()).join('\n');
  }

  #to(row: number, column: number): void {
    this.#row = row;
    this.#column = column;
    this.#line(row);
  }

  #line(row: number): string[] {
    while (this.#rows.length <= row) this.#rows.push([]);
    return this.#rows[row] ?? [];
  }
}

export const screenText = (sent: string): string => {
  const screen = new Screen();
  for (let at = 0; at < sent.length;) {
    const letter = String.fromCodePoint(sent.codePointAt(at) ?? 0);
    const found = letter === ESCAPE ? SEQUENCE.exec(sent.slice(at + 1, at + 32)) : null;
    if (found !== null) screen.sequence(found[1] ?? '', found[2] ?? '');
    else if (letter < ' ') screen.control(letter);
    else screen.put(letter);
    at += found === null ? letter.length : 1 + found[0].length;
  }
  return screen.text();
};
