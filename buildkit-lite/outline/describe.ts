/** What the comments above a definition say of it: the rest of the first one that begins with its name. */
export function describeDefinition(comments: readonly string[], name: string | null): string {
  if (name === null) return ''
  const start = `${name} `
  return comments.find((comment) => comment.startsWith(start))?.slice(start.length) ?? ''
}
