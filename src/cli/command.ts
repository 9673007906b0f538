// Command: what each command of the CLI is.

export interface Command {
  readonly name: string;
  /** The words after `premesh`, as the help shows them. */
  readonly usage: string;
  /** One line for the help. */
  readonly summary: string;
  /** What is wrong with the words after the name, if anything is. */
  readonly misuse: (files: readonly string[]) => string | undefined;
  /** Does the work and gives the exit status. */
  readonly run: (files: readonly string[]) => Promise<number>;
}
