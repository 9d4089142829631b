import { z } from 'zod'
import { toText } from '../solver/beneath.ts'
import { type FoundPackage, licenseOf, readInner, readStanzas } from './package.ts'
import { packageUrl } from './purl.ts'

/** What installed packages of languages say of themselves; lock files only say what was wanted. */
export function readLanguagePackage(root: string, path: string): FoundPackage | null {
  if (NODE_PACKAGE.test(path)) return readNodePackage(root, path)
  return PYTHON_PACKAGE.test(path) ? readPythonPackage(root, path) : null
}

/** `node_modules/NAME/package.json` and `node_modules/@SCOPE/NAME/package.json`, not those further inside. */
const NODE_PACKAGE = /\/node_modules\/(?:@[^/]+\/)?[^/@][^/]*\/package\.json$/
const PYTHON_PACKAGE = /\.(?:dist-info\/METADATA|egg-info\/PKG-INFO)$/

const PackageJson = z.object({ name: z.string().min(1), version: z.string().min(1), license: z.unknown().optional() })

function readNodePackage(root: string, path: string): FoundPackage | null {
  const parsed = PackageJson.safeParse(parseJson(readInner(root, path) ?? ''))
  if (!parsed.success) return null
  const { name, version, license } = parsed.data
  const slash = name.lastIndexOf('/')
  const namespace = name.slice(0, Math.max(0, slash))
  const purl = packageUrl({ type: 'npm', namespace, name: name.slice(slash + 1), version })
  return { name, version, purl, license: licenseOf(license), path: toText(path) }
}

/** https://packaging.python.org/en/latest/specifications/core-metadata/ */
function readPythonPackage(root: string, path: string): FoundPackage | null {
  const [fields] = readStanzas(readInner(root, path) ?? '')
  const [name, version] = [fields?.get('Name'), fields?.get('Version')]
  if (!name || !version) return null
  // One spelling of each name. https://packaging.python.org/en/latest/specifications/name-normalization/
  const purl = packageUrl({ type: 'pypi', name: name.toLowerCase().replace(/[-_.]+/g, '-'), version })
  return { name, version, purl, license: licenseOf(fields?.get('License-Expression')), path: toText(path) }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
