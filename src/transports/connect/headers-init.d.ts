// A name of the browser's that the declarations of @connectrpc/connect use, and that those of Node.js lack. Only for compiling premesh; not published.
type HeadersInit = NonNullable<ConstructorParameters<typeof Headers>[0]>;
