import { parseImageReference } from '#domain/image-reference'
import { closestWord, SyntaxFault } from '../dockerfile/errors.ts'
import { type Expanded, expand } from '../dockerfile/expand.ts'
import type { ParsedDockerfile, ParsedStage } from '../dockerfile/parse.ts'
import { quote } from '../dockerfile/quote.ts'
import type { ImageConfig } from '../image/config.ts'
import type { Platform } from '../plan/plan.ts'
import { formatPlatform, normalisePlatform, parsePlatform } from '../plan/platform.ts'
import type { Report } from './report.ts'

/** The names that FROM may use: automatic arguments and those with a value, and those that are only declared. */
export interface GlobalScope {
  values: ReadonlyMap<string, string>
  declared: () => readonly string[]
}

/** The image of a FROM, expanded. */
export function lintFromImage(stage: ParsedStage, image: Expanded, scope: GlobalScope, report: Report): void {
  if (image.unset.size === 0) return
  const known = [...scope.declared(), ...scope.values.keys()]
  for (const name of image.unset) {
    if (known.includes(name)) continue
    const close = closestWord(name, known)
    const hint = close === null ? '' : ` (did you mean ${close}?)`
    report('UndefinedArgInFrom', `FROM argument '${name}' is not declared${hint}`, stage)
  }
}

/** The value of FROM's `--platform`, expanded. */
export function lintFromPlatform(stage: ParsedStage, platform: Expanded, scope: GlobalScope, report: Report): void {
  lintFromImage(stage, platform, scope, report)
  if (platform.unset.size > 0) return
  const [only, ...more] = platform.used
  if (only === undefined) lintConstantPlatform(stage, platform.text, report)
  else if (more.length === 0 && only === 'TARGETPLATFORM' && platform.text === scope.values.get(only)) {
    const message = `Setting platform to predefined ${stage.from.platform} in FROM is redundant as this is the default behavior`
    report('RedundantTargetPlatform', message, stage)
  }
}

/** A stage that is named after its platform is meant for that one. */
function lintConstantPlatform(stage: ParsedStage, text: string, report: Report): void {
  const platform = readPlatform(text)
  const name = stage.from.name ?? ''
  if (!platform || name.includes(platform.os) || name.includes(platform.architecture)) return
  report('FromPlatformFlagConstDisallowed', `FROM --platform flag should not use constant value ${quote(text)}`, stage)
}

function readPlatform(text: string): Platform | null {
  try {
    return parsePlatform(text, { os: 'linux', architecture: 'amd64' })
  } catch (error) {
    if (error instanceof SyntaxFault) return null
    throw error
  }
}

/** Whether each FROM names an image where arguments have their defaults only. */
export function lintDefaultImages(
  { stages, directives }: ParsedDockerfile,
  defaults: ReadonlyMap<string, string>,
  report: Report,
): void {
  for (const stage of stages) {
    const { image } = stage.from
    const name = expandQuietly(image, defaults, directives.escape)
    if (name === null) return
    if (isImageName(name)) continue
    const message = `Default value for ARG ${image} results in empty or invalid base image name`
    report('InvalidDefaultArgInFrom', message, stage)
  }
}

function expandQuietly(text: string, values: ReadonlyMap<string, string>, escape: string): string | null {
  try {
    return expand(text, values, { escape }).text
  } catch (error) {
    if (error instanceof SyntaxFault) return null
    throw error
  }
}

function isImageName(name: string): boolean {
  try {
    parseImageReference(name)
    return true
  } catch {
    return false
  }
}

/** The image that was found for a FROM, against the platform it was looked for. */
export function lintBasePlatform(
  stage: ParsedStage,
  found: { name: string; wanted: Platform; config: ImageConfig },
  report: Report,
): void {
  const { name, wanted, config } = found
  if (config.os === wanted.os && config.architecture === wanted.architecture) return
  const { os, architecture, variant } = config
  const actual = formatPlatform(normalisePlatform({ os, architecture, ...(variant ? { variant } : {}) }))
  const expected = formatPlatform(normalisePlatform(wanted))
  const message = `Base image ${name} was pulled with platform ${quote(actual)}, expected ${quote(expected)} for current build`
  report('InvalidBaseImagePlatform', message, stage)
}
