/**
 * Replaces `$(NAME)` where `lookup` knows the name; `$$` is one dollar, and what is no reference stays as it is.
 * https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
 */
export function expandVariables(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (match, name: string | undefined) =>
    name === undefined ? '$' : (lookup(name) ?? match),
  )
}
