import type { Cause } from './api-error.ts'

/** What is wrong with one field, in the words kubectl's users know. */

export function required(field: string, why?: string): Cause {
  return { reason: 'FieldValueRequired', message: why ? `Required value: ${why}` : 'Required value', field }
}

export function invalidValue(field: string, value: unknown, why: string): Cause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${show(value)}: ${why}`, field }
}

export function duplicate(field: string, value: unknown): Cause {
  return { reason: 'FieldValueDuplicate', message: `Duplicate value: ${show(value)}`, field }
}

export function forbiddenField(field: string, why: string): Cause {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${why}`, field }
}

export function unsupportedValue(field: string, value: unknown, supported: string[]): Cause {
  const list = supported.map((each) => JSON.stringify(each)).join(', ')
  return {
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${show(value)}: supported values: ${list}`,
    field,
  }
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `[]string{${value.map((each) => JSON.stringify(each)).join(', ')}}`
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
  const isOfStrings = isMap && Object.values(value).every((each) => typeof each === 'string')
  return isOfStrings ? `map[string]string${JSON.stringify(value)}` : JSON.stringify(value ?? '')
}
