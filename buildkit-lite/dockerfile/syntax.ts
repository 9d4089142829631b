import { z } from 'zod'
import { parseDirective } from './directives.ts'
import { DockerfileError, type SourceText } from './errors.ts'

/**
 * The one frontend is built in and reads every release of syntax 1, also its labs and upstream channels. `asked` is
 * what a build asks for instead of what the file says. Whatever names another frontend is refused.
 */
export function refuseForeignSyntax(source: SourceText, asked: string | null): void {
  const found = asked === null ? detectSyntax(source.text) : { image: cutAtSpace(asked), line: 1 }
  if (!found || isBuiltIn(found.image)) return
  const message = `syntax ${found.image} is not supported: expected docker/dockerfile:1 or a release of it, which is built in`
  throw new DockerfileError(message, source, { first: found.line, last: found.line })
}

const BUILT_IN =
  /^(?:(?:(?:index\.)?docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::([\w.-]+))?(?:@sha256:[0-9a-f]{64})?|dockerfile\.v0)$/
/** Tags without a number, as `labs` and `master`, are releases of 1, too. */
const OTHER_MAJOR = /^(?:0|[2-9]|1\d)/

function isBuiltIn(image: string): boolean {
  const match = BUILT_IN.exec(image)
  return match !== null && !OTHER_MAJOR.test(match[1] ?? '')
}

/**
 * The frontend a file names: in `# syntax=` at the top, which a line `#!` may precede, or, as files of other frontends
 * do, in `// syntax=` or in the key `syntax` of a JSON object.
 */
export function detectSyntax(text: string): { image: string; line: number } | null {
  const body = text.replace(/^\uFEFF/, '')
  const skipped = body.startsWith('#!') ? 1 : 0
  const start = skipped === 0 ? 0 : body.indexOf('\n') + 1 || body.length
  const rest = body.slice(start)
  return findDirective(rest, '#', skipped) ?? findDirective(rest, '//', skipped) ?? findJsonKey(rest, skipped)
}

function findDirective(text: string, sign: string, skipped: number): { image: string; line: number } | null {
  let start = 0
  for (let line = skipped + 1; start < text.length; line++) {
    const end = text.indexOf('\n', start)
    const directive = parseDirective(text.slice(start, end < 0 ? undefined : end).trimStart(), sign)
    if (!directive) return null
    if (directive.key === 'syntax') return { image: cutAtSpace(directive.value), line }
    start = end < 0 ? text.length : end + 1
  }
  return null
}

const NamedSyntax = z.object({ syntax: z.string() })

function findJsonKey(text: string, skipped: number): { image: string; line: number } | null {
  if (!text.trimStart().startsWith('{')) return null
  try {
    const parsed = NamedSyntax.safeParse(JSON.parse(text))
    return parsed.success ? { image: cutAtSpace(parsed.data.syntax), line: skipped + 1 } : null
  } catch {
    return null
  }
}

/** What follows the first space is the other frontend's command line. */
function cutAtSpace(value: string): string {
  return value.trim().split(' ', 1)[0] ?? ''
}
