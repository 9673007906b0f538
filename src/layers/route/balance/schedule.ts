// A schedule: who is due first, of some that come again and again; a binary heap over plain arrays, so that a turn allocates nothing.

export interface Schedule {
  readonly size: number;
  /** When a member is due. */
  due(member: number): number;
  /** Who is due first; of several the one with the lower number; -1: the schedule is empty. */
  first(): number;
  /** The first one among those that fit, looked for one by one; -1: none does. */
  firstOf(fits: (member: number) => boolean): number;
  /** A member comes again so much later. */
  postpone(member: number, by: number): void;
}

/** Members are the numbers from 0 on; `dues`: when each is due first. The array is kept and changed. */
export function newSchedule(dues: Float64Array): Schedule {
  const size = dues.length;
  const heap = Int32Array.from(dues.keys());
  const places = Int32Array.from(dues.keys());
  // the casts: numbers of members and of places are within the arrays
  const memberAt = (place: number): number => heap[place] as number;
  const due = (member: number): number => dues[member] as number;
  const isBefore = (a: number, b: number): boolean => due(a) < due(b) || (due(a) === due(b) && a < b);

  function put(member: number, place: number): void {
    heap[place] = member;
    places[member] = place;
  }

  function sink(member: number, from: number): void {
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(memberAt(child + 1), memberAt(child))) child++;
      if (!isBefore(memberAt(child), member)) break;
      put(memberAt(child), place);
      place = child;
    }
    put(member, place);
  }

  for (let place = (size >> 1) - 1; place >= 0; place--) sink(memberAt(place), place);

  return {
    size,
    due,
    first: () => (size === 0 ? -1 : memberAt(0)),
    firstOf: (fits) => {
      let best = -1;
      for (let member = 0; member < size; member++) if ((best === -1 || isBefore(member, best)) && fits(member)) best = member;
      return best;
    },
    postpone: (member, by) => {
      dues[member] = due(member) + by;
      sink(member, places[member] as number);
    },
  };
}
