/** Does all of it at the same time. The first failure cancels the rest; nothing goes on once this has rejected. */
export async function sideBySide<T>(
  works: readonly ((signal: AbortSignal) => Promise<T>)[],
  signal: AbortSignal,
): Promise<T[]> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  let failure: unknown
  const running = works.map(async (work) => {
    try {
      return await work(either)
    } catch (error) {
      // What the others end with now only follows from this one.
      if (!stop.signal.aborted) failure = error
      stop.abort(error)
      throw error
    }
  })
  const results = await Promise.allSettled(running)
  if (stop.signal.aborted) throw failure
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
}
