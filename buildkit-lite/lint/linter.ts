import type { IgnoreMatcher } from '../context/ignore.ts'
import { DockerfileError, type LineRange, renderLines, type SourceText, SyntaxFault } from '../dockerfile/errors.ts'
import type { Expanded } from '../dockerfile/expand.ts'
import type { PlacedInstruction } from '../dockerfile/instruction.ts'
import type { LogicalLines } from '../dockerfile/lines.ts'
import type { ParsedDockerfile, ParsedStage, ParseObserver } from '../dockerfile/parse.ts'
import type { ImageConfig } from '../image/config.ts'
import type { PlanWarning, Platform } from '../plan/plan.ts'
import { type CheckOptions, isEnabled, NO_OPTIONS, optionsAbove, parseCheckOptions } from './check-options.ts'
import { lintInstruction, lintStages } from './lint-file.ts'
import { type GlobalScope, lintBasePlatform, lintDefaultImages, lintFromImage, lintFromPlatform } from './lint-from.ts'
import { StageLint } from './lint-stage.ts'
import type { Report } from './report.ts'
import { ruleNamed } from './rules.ts'

/**
 * Collects what a Dockerfile's rules have to say while it is read and planned. It never fails by itself: what it found
 * is asked for at the end, whatever ended the planning.
 */
export class Linter implements ParseObserver {
  readonly warnings: PlanWarning[] = []
  readonly #override: string | null
  #source: SourceText = { name: '', text: '' }
  #lines: readonly string[] = []
  #options: CheckOptions = NO_OPTIONS
  #first: LineRange | null = null
  #ignore: IgnoreMatcher | null = null

  /** `override` takes the place of the file's own `# check=`. */
  constructor(override: string | null = null) {
    this.#override = override
  }

  /** What `.dockerignore` hides of the build context. */
  useIgnoreFile(ignore: IgnoreMatcher | null): void {
    this.#ignore = ignore
  }

  readLines(source: SourceText, { directives, emptyContinuations }: LogicalLines): void {
    this.#source = source
    this.#lines = source.text.split('\n')
    this.#options = this.#readOptions(directives.check)
    for (const line of emptyContinuations) {
      this.report('NoEmptyContinuation', 'Empty continuation line', { first: line, last: line })
    }
  }

  readInstruction(placed: PlacedInstruction): void {
    lintInstruction(placed, this.report)
  }

  /** What the whole file shows once all of it is understood. */
  readFile(dockerfile: ParsedDockerfile): void {
    lintStages(dockerfile, this.report)
  }

  /** FROM's image, and its `--platform` if it has one, as they are expanded. */
  readFrom(stage: ParsedStage, words: { image: Expanded } | { platform: Expanded }, scope: GlobalScope): void {
    if ('image' in words) lintFromImage(stage, words.image, scope, this.report)
    else lintFromPlatform(stage, words.platform, scope, this.report)
  }

  /** Global arguments as they are where none is given. */
  readDefaults(dockerfile: ParsedDockerfile, defaults: ReadonlyMap<string, string>): void {
    lintDefaultImages(dockerfile, defaults, this.report)
  }

  /** The image that was found for a FROM. */
  readBase(stage: ParsedStage, found: { name: string; wanted: Platform; config: ImageConfig }): void {
    lintBasePlatform(stage, found, this.report)
  }

  /** Follows the instructions of a stage; `base` is what followed those of the stage it is built from. */
  openStage(base: StageLint | null): StageLint {
    return new StageLint(this.report, this.#ignore, base)
  }

  readonly report: Report = (name, message, at) => {
    const rule = ruleNamed(name)
    if (!isEnabled(rule, [this.#options, optionsAbove(at.comments ?? [])])) return
    const { first, last } = at
    this.#first ??= { first, last }
    this.warnings.push({
      rule: name,
      message,
      description: rule.description,
      url: rule.url,
      file: this.#source.name,
      line: first,
      lastLine: last,
      excerpt: renderLines(this.#source.name, this.#lines, { first, last }),
    })
  }

  /** The file that is linted. */
  get source(): SourceText {
    return this.#source
  }

  /** The error that `error=true` makes of the warnings; null without either. */
  failure(): DockerfileError | null {
    if (!this.#options.error || !this.#first) return null
    const rules = [...new Set(this.warnings.map(({ rule }) => rule))].sort()
    return new DockerfileError(`lint violation found for rules: ${rules.join(', ')}`, this.#source, this.#first)
  }

  #readOptions(directive: string | null): CheckOptions {
    try {
      // Whatever follows a blank in the directive is a remark.
      return parseCheckOptions(this.#override ?? directive?.split(' ', 1)[0] ?? '')
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error
      const line = this.#override === null ? this.#directiveLine() : 1
      throw new DockerfileError(error.message, this.#source, { first: line, last: line }, { cause: error })
    }
  }

  #directiveLine(): number {
    return (
      Math.max(
        0,
        this.#lines.findIndex((line) => /^\s*#\s*check\s*=/i.test(line)),
      ) + 1
    )
  }
}

/** The build argument `BUILDKIT_DOCKERFILE_CHECK` takes the place of the file's `# check=`. */
export function openLinter({ buildArgs }: { buildArgs: Readonly<Record<string, string>> }): Linter {
  return new Linter(buildArgs['BUILDKIT_DOCKERFILE_CHECK'] ?? null)
}
