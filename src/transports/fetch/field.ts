// Field: a header field that an attempt is given.

export type Field = readonly [name: string, value: string];
