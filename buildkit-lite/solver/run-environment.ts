const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** A step's environment: what was planned, secrets, and HOME and PATH where nothing set them. */
export function stepEnvironment(planned: readonly string[], secrets: readonly string[], home: string): string[] {
  const has = (name: string): boolean => planned.some((variable) => variable.startsWith(`${name}=`))
  return [...planned, ...(has('HOME') ? [] : [`HOME=${home}`]), ...(has('PATH') ? [] : [DEFAULT_PATH]), ...secrets]
}
