// Running a command: its words are read, it does its work, and the process ends with its status.
import { type Command, helpOf, wordsOf } from "./command.ts";

/** A command runs that looks after its own output. */
let serving = false;

/** `invoked`: how the command is called, for who has called it wrongly. */
export async function runCommand(command: Command, args: readonly string[], invoked: string): Promise<number> {
  const words = wordsOf(command, args);
  if (typeof words === "string") return misused(words, invoked);
  if (words.has("help")) {
    console.log(helpOf(command));
    return 0;
  }
  const problem = command.misuse(words);
  if (problem !== undefined) return misused(`${problem}: premesh ${command.usage}`, invoked);
  serving = command.serves === true;
  return command.run(words);
}

export function misused(problem: string, invoked = "premesh"): number {
  console.error(`premesh: ${problem}\nRun ${invoked} --help to see what there is.`);
  return 2;
}

export async function runToEnd(run: () => Promise<number>): Promise<void> {
  // Whoever reads our output may stop (`premesh explain ... | head -3`): then there is nobody left to write to.
  process.stdout.on("error", () => {
    if (!serving) process.exit(2);
  });
  const code = await run();
  if (serving) process.exit(code); // what it had to write is written, or nobody takes it
  // What a policy module has left behind (a timer, a socket) must not keep the command alive: it ends once all is written.
  process.stdout.write("", () => process.exit(code));
}
