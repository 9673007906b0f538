// Turns: whether two things happened in one synchronous run of the caller's code.

let current: object | undefined;

/** A token of this turn; it is over before anything that is put off with `process.nextTick` from now on. */
export function thisTurn(): object {
  if (current === undefined) {
    current = {};
    process.nextTick(() => {
      current = undefined;
    });
  }
  return current;
}

export const isThisTurn = (turn: object): boolean => turn === current;
