import { SlipwayError } from '#domain/errors'
import type { Requirement } from '../selectors.ts'
import { labelKeyProblem, labelValueProblem } from './names.ts'

/** Characters that are tokens of their own, or begin one. */
const SPECIAL = /^(?:==|!=|=|!|>|<|\(|\)|,)/
const EOS = ''

/**
 * A label selector as a query parameter has it: `app=web,tier in (a,b),!x`. The words of its errors are Kubernetes'.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
 */
export function parseLabelSelector(text: string): Requirement[] {
  const tokens = tokenize(text)
  const requirements: Requirement[] = []
  while (tokens.length > 0) {
    const key = tokens.shift() ?? EOS
    if (key === '!') {
      requirements.push(checked({ key: word(tokens), operator: 'absent', values: [] }))
    } else {
      if (isSpecial(key)) throw bad(`found '${key}', expected: !, identifier, or 'end of string'`)
      requirements.push(checked(afterKey(key, tokens)))
    }
    const next = tokens.shift()
    if (next === undefined) break
    if (next !== ',') throw bad(`found '${next}', expected: ',' or 'end of string'`)
    const following = tokens[0] ?? EOS
    if (following === EOS) throw bad("found '', expected: identifier after ','")
  }
  return requirements
}

function afterKey(key: string, tokens: string[]): Requirement {
  const next = tokens[0]
  if (next === undefined || next === ',') return { key, operator: 'exists', values: [] }
  if (next === '=' || next === '==' || next === '!=') {
    tokens.shift()
    return { key, operator: next === '!=' ? 'notin' : 'in', values: [exactValue(tokens)] }
  }
  if (next === '>' || next === '<') {
    tokens.shift()
    return { key, operator: next, values: [exactValue(tokens)] }
  }
  if (next === 'in' || next === 'notin') {
    tokens.shift()
    return { key, operator: next, values: setOfValues(tokens) }
  }
  return { key, operator: 'exists', values: [] }
}

function exactValue(tokens: string[]): string {
  const next = tokens[0]
  if (next === undefined || next === ',') return ''
  return word(tokens)
}

function setOfValues(tokens: string[]): string[] {
  const open = tokens.shift() ?? EOS
  if (open !== '(') throw bad(`unable to parse requirement: found '${open}' expected: '('`)
  const values: string[] = []
  for (;;) {
    const next = tokens.shift() ?? EOS
    if (next === ')') return values.length > 0 ? values : ['']
    if (next === ',') {
      values.push('')
    } else {
      if (next === EOS) throw bad("unable to parse requirement: found '', expected: ',', ')' or identifier")
      values.push(next)
      const after = tokens.shift() ?? EOS
      if (after === ')') return values
      if (after !== ',') throw bad(`unable to parse requirement: found '${after}', expected: ',' or ')'`)
      if (tokens[0] === ')') values.push('')
    }
  }
}

function word(tokens: string[]): string {
  const next = tokens.shift() ?? EOS
  if (next === EOS || isSpecial(next)) throw bad(`unable to parse requirement: found '${next}', expected: identifier`)
  return next
}

function checked(requirement: Requirement): Requirement {
  const { key, values, operator } = requirement
  const keyProblem = labelKeyProblem(key)
  if (keyProblem) throw bad(`unable to parse requirement: invalid label key "${key}": ${keyProblem}`)
  if (operator === '>' || operator === '<') {
    if (values.some((value) => !/^-?\d+$/.test(value))) {
      throw bad("unable to parse requirement: for 'Gt', 'Lt' operators, the value must be an integer")
    }
  }
  for (const value of values) {
    const problem = labelValueProblem(value)
    if (problem) throw bad(`unable to parse requirement: invalid label value: "${value}": at key: "${key}": ${problem}`)
  }
  return requirement
}

function isSpecial(token: string): boolean {
  return SPECIAL.test(token)
}

function tokenize(text: string): string[] {
  const tokens: string[] = []
  for (let rest = text.trimStart(); rest !== ''; rest = rest.trimStart()) {
    const token = SPECIAL.exec(rest)?.[0] ?? /^[^\s=!><(),]+/.exec(rest)?.[0] ?? rest
    tokens.push(token)
    rest = rest.slice(token.length)
  }
  return tokens
}

export interface FieldRequirement {
  field: string
  equal: boolean
  value: string
}

/** A field selector: `status.phase!=Running,spec.nodeName=a`; `\` escapes `,`, `=` and itself. */
export function parseFieldSelector(text: string): FieldRequirement[] {
  const terms = text.match(/(?:\\.|[^,\\])+/g) ?? []
  return terms.map((term) => {
    const parts = /^((?:[^=!\\]|\\.)*)(==|!=|=)((?:.|\n)*)$/.exec(term)
    if (!parts) throw bad(`invalid selector: '${text}'; can't understand '${term}'`)
    const [, field = '', operator, escaped = ''] = parts
    const unescaped = /^(?:\\[\\,=]|[^\\,=])*$/.test(escaped)
    if (!unescaped) throw bad('invalid field selector: unescaped character in value: 61')
    return { field, equal: operator !== '!=', value: escaped.replace(/\\(.)/g, '$1') }
  })
}

function bad(message: string): SlipwayError {
  return new SlipwayError('invalid', message)
}
