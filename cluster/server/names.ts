/** Rules for names, as Kubernetes words them. Each function answers what is wrong, or null. */

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`
const DNS_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?'
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'
const LABEL_VALUE = `(${QUALIFIED})?`
const CONFIG_KEY = '[-._a-zA-Z0-9]+'

const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`)
const hint = (pattern: string) => `regex used for validation is '${pattern}')`

export function subdomainProblem(name: string): string | null {
  if (name.length > 253) return 'must be no more than 253 characters'
  if (whole(SUBDOMAIN).test(name)) return null
  return `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', ${hint(SUBDOMAIN)}`
}

export function labelProblem(name: string): string | null {
  if (name.length > 63) return 'must be no more than 63 characters'
  if (whole(LABEL).test(name)) return null
  return `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', ${hint(LABEL)}`
}

/** Names of Services. */
export function dns1035Problem(name: string): string | null {
  if (name.length > 63) return 'must be no more than 63 characters'
  if (whole(DNS_1035).test(name)) return null
  return `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', ${hint(DNS_1035)}`
}

export function labelKeyProblem(key: string): string | null {
  const slash = key.indexOf('/')
  const name = key.slice(slash + 1)
  if (slash >= 0) {
    const prefix = key.slice(0, slash)
    if (prefix === '') return 'prefix part must be non-empty'
    const problem = subdomainProblem(prefix)
    if (problem) return `prefix part ${problem}`
  }
  if (name === '') return 'name part must be non-empty'
  if (name.length > 63) return 'name part must be no more than 63 characters'
  if (whole(QUALIFIED).test(name)) return null
  return `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', ${hint(QUALIFIED)}`
}

export function labelValueProblem(value: string): string | null {
  if (value.length > 63) return 'must be no more than 63 characters'
  if (whole(LABEL_VALUE).test(value)) return null
  return `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', ${hint(LABEL_VALUE)}`
}

/** Environment variables: anything printable but `=`. */
export function envNameProblem(name: string): string | null {
  if (/^[ -<>-~]+$/.test(name)) return null
  return `a valid environment variable name must consist only of printable ASCII characters other than '='`
}

/** Keys of ConfigMaps and Secrets. */
export function configKeyProblem(key: string): string | null {
  if (key.length > 253) return 'must be no more than 253 characters'
  if (key === '.' || key === '..') return `must not be '${key}'`
  if (key.startsWith('..')) return `must not start with '..'`
  if (whole(CONFIG_KEY).test(key)) return null
  return `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', ${hint(CONFIG_KEY)}`
}

/** Names of ports. */
export function portNameProblem(name: string): string | null {
  if (name.length > 15) return 'must be no more than 15 characters'
  if (!/^[-a-z0-9]+$/.test(name)) return 'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)'
  if (!/[a-z]/.test(name)) return 'must contain at least one letter (a-z)'
  if (name.includes('--')) return 'must not contain consecutive hyphens'
  return /^-|-$/.test(name) ? 'must not begin or end with a hyphen' : null
}
