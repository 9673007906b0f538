// Order: what was used longest ago stands first; a linked list, since a Map that is emptied from its front is walked over all that has left it.

interface Place<T> {
  readonly item: T;
  before: Place<T> | undefined;
  behind: Place<T> | undefined;
}

export interface Order<T> {
  first(): T | undefined;
  /** Puts an item last, new or known. */
  last(item: T): void;
  /** Harmless where it is not there. */
  remove(item: T): void;
}

export function newOrder<T>(): Order<T> {
  const places = new Map<T, Place<T>>();
  let first: Place<T> | undefined;
  let last: Place<T> | undefined;

  function leave({ before, behind }: Place<T>): void {
    if (before === undefined) first = behind;
    else before.behind = behind;
    if (behind === undefined) last = before;
    else behind.before = before;
  }

  function join(place: Place<T>): void {
    place.before = last;
    place.behind = undefined;
    if (last === undefined) first = place;
    else last.behind = place;
    last = place;
  }

  return {
    first: () => first?.item,
    last: (item) => {
      const known = places.get(item);
      if (known === last && known !== undefined) return;
      if (known !== undefined) leave(known);
      const place = known ?? { item, before: undefined, behind: undefined };
      places.set(item, place);
      join(place);
    },
    remove: (item) => {
      const place = places.get(item);
      if (place === undefined) return;
      places.delete(item);
      leave(place);
    },
  };
}
