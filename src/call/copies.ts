// Copies of what a caller sends, each whole or none, for sends beside the call such as those to a mirror.

/** Told all messages once no more will come; `undefined`: there is no copy. */
type Told<M> = (all: readonly M[] | undefined) => void;

interface Copy<M> {
  /** How many bytes more it may have. */
  readonly room: number;
  readonly all: readonly M[];
  readonly told: Told<M>;
}

export interface Copies<M> {
  /** One more, with what was written before. */
  add(bytes: number, before: readonly { readonly message: M; readonly size: number }[], told: Told<M>): void;
  wrote(message: M, size: number): void;
  /** No more will come. */
  ended(): void;
  /** The call is over. */
  gone(): void;
}

export function newCopies<M>(): Copies<M> {
  let copies: readonly Copy<M>[] = [];

  /** The copy with a message more. */
  function grown({ room, all, told }: Copy<M>, message: M, size: number): readonly Copy<M>[] {
    if (size <= room) return [{ room: room - size, all: [...all, message], told }];
    told(undefined);
    return [];
  }

  function tell(whole: boolean): void {
    const told = copies;
    copies = [];
    for (const copy of told) copy.told(whole ? copy.all : undefined);
  }

  return {
    add(bytes, before, told) {
      const begun = before.reduce<readonly Copy<M>[]>(
        (one, { message, size }) => one.flatMap((copy) => grown(copy, message, size)),
        [{ room: bytes, all: [], told }],
      );
      copies = [...copies, ...begun];
    },
    wrote: (message, size) => {
      if (copies.length > 0) copies = copies.flatMap((copy) => grown(copy, message, size));
    },
    ended: () => tell(true),
    gone: () => tell(false),
  };
}
