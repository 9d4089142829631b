import { RE2JS } from 're2js'

/**
 * Whether any of the changed paths is wanted. Globs: `**` any depth, `*` and `?` within a name, a leading `!` takes back;
 * the last glob that fits a path decides, as in .gitignore.
 */
export function anyPathWanted(globs: readonly string[], changedPaths: readonly string[]): boolean {
  const filters = globs.map((glob) => {
    const isNegated = glob.startsWith('!')
    return { isNegated, pattern: compileGlob(isNegated ? glob.slice(1) : glob) }
  })
  return changedPaths.some((path) => {
    const decisive = filters.findLast(({ pattern }) => pattern.matcher(path).matches())
    return decisive !== undefined && !decisive.isNegated
  })
}

function compileGlob(glob: string): RE2JS {
  const relative = glob.replace(/^\/+/, '')
  let source = ''
  for (let at = 0; at < relative.length; ) {
    const token = /^(?:\*\*\/|\*\*|\*|\?|[^*?]+)/.exec(relative.slice(at))?.[0] ?? ''
    source += globToken(token)
    at += token.length
  }
  return RE2JS.compile(source, RE2JS.DOTALL)
}

function globToken(token: string): string {
  if (token === '**/') return '(?:.*/)?'
  if (token === '**') return '.*'
  if (token === '*') return '[^/]*'
  if (token === '?') return '[^/]'
  return RE2JS.quote(token)
}
