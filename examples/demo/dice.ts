// Dice that roll the same numbers in every run, so that two runs of the demo can be compared.

/** Uniform in [0, 1): xorshift32, good enough for a demo. */
export function newDice(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4_294_967_296;
  };
}
