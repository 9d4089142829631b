import type { FromInstruction, PlacedInstruction } from '../dockerfile/instruction.ts'
import type { ParsedDockerfile } from '../dockerfile/parse.ts'
import { quote } from '../dockerfile/quote.ts'
import type { LintPlace, Report } from './report.ts'

/** The rules that one instruction breaks by how it is written. */
export function lintInstruction(placed: PlacedInstruction, report: Report): void {
  const { instruction } = placed
  if (instruction.kind === 'MAINTAINER') {
    report('MaintainerDeprecated', 'Maintainer instruction is deprecated in favor of using label', placed)
  }
  if (instruction.kind === 'FROM') lintFrom(placed, instruction, report)
  if (instruction.kind === 'ARG') {
    const keys = instruction.args.map(({ name }) => name)
    lintDescription(placed, 'ARG', keys, report)
  }
}

function lintFrom(placed: PlacedInstruction, { written, name }: FromInstruction, report: Report): void {
  if (!written || name === null) return
  if (!isLower(written.name)) {
    report('StageNameCasing', `Stage name '${written.name}' should be lowercase`, placed)
  }
  const { keyword } = placed
  const matches = isLower(keyword) ? isLower(written.as) : isUpper(written.as)
  // A keyword of mixed case has a rule of its own.
  if (isOneCase(keyword) && !matches) {
    report('FromAsCasing', `'${written.as}' and '${keyword}' keywords' casing do not match`, placed)
  }
  lintDescription(placed, 'FROM', [name], report)
}

/** A comment directly above a definition describes it, and then begins with its name. */
function lintDescription(placed: PlacedInstruction, keyword: string, names: readonly string[], report: Report): void {
  const comment = placed.comments.at(-1)
  if (comment === undefined || names.includes(comment.split(' ', 1)[0] ?? '')) return
  const name = names.length > 1 ? '<arg_key>' : names[0]
  const message = `Comment for ${keyword} should follow the format: \`# ${name} <description>\``
  report('InvalidDefinitionDescription', message, placed)
}

/** The rules about stages and instructions among each other. */
export function lintStages(dockerfile: ParsedDockerfile, report: Report): void {
  lintNames(dockerfile, report)
  lintCasing(dockerfile, report)
}

const RESERVED = ['context', 'scratch']

function lintNames({ stages }: ParsedDockerfile, report: Report): void {
  const seen = new Set<string>()
  for (const stage of stages) {
    const { name } = stage.from
    if (name === null) continue
    if (RESERVED.includes(name)) {
      const message = `Stage name should not use the same name as reserved stage ${quote(name)}`
      report('ReservedStageName', message, stage)
    }
    if (seen.has(name)) {
      report('DuplicateStageName', `Duplicate stage name ${quote(name)}, stage names should be unique`, stage)
    }
    seen.add(name)
  }
}

function lintCasing({ stages }: ParsedDockerfile, report: Report): void {
  const keywords: (LintPlace & { keyword: string })[] = stages.flatMap((stage) => [stage, ...stage.instructions])
  const lower = keywords.filter(({ keyword }) => isLower(keyword)).length
  const upper = keywords.filter(({ keyword }) => isUpper(keyword)).length
  const wantsLower = lower > upper
  const majority = wantsLower ? 'lowercase' : 'uppercase'
  for (const place of keywords) {
    const { keyword } = place
    if (wantsLower ? isLower(keyword) : isUpper(keyword)) continue
    const message = `Command '${keyword}' should match the case of the command majority (${majority})`
    report('ConsistentInstructionCasing', message, place)
  }
}

function isLower(text: string): boolean {
  return text === text.toLowerCase()
}

function isUpper(text: string): boolean {
  return text === text.toUpperCase()
}

function isOneCase(text: string): boolean {
  return isLower(text) || isUpper(text)
}
