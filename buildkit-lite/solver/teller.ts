/** Tells news to everybody who listens; who comes late hears what was told before first. */
export interface Teller<News> {
  /** Resolves when everybody has heard it. */
  tell(this: void, news: News): Promise<void>
  /** Hears in order until disposed; a listener that fails hears no more. */
  hear(
    this: void,
    follow: (news: News) => Promise<void>,
    onFailure: (error: unknown) => void,
  ): Disposable & { heardAll(this: void): Promise<void> }
}

/** So many pieces are kept for those who come late: the first, and the newest. */
const MAX_KEPT = 4000

export function createTeller<News>(): Teller<News> {
  const told: News[] = []
  const listeners = new Set<(news: News) => Promise<void>>()
  return {
    tell: async (news) => {
      told.push(news)
      if (told.length > MAX_KEPT) told.splice(1, told.length - MAX_KEPT)
      await Promise.all([...listeners].map((listener) => listener(news)))
    },
    hear: (follow, onFailure) => {
      let tail = Promise.resolve()
      let isListening = true
      const hearOne = async (before: Promise<void>, news: News): Promise<void> => {
        await before
        try {
          if (isListening) await follow(news)
        } catch (error) {
          if (isListening) onFailure(error)
          isListening = false
        }
      }
      const listener = (news: News): Promise<void> => {
        tail = hearOne(tail, news)
        return tail
      }
      for (const news of told) void listener(news)
      listeners.add(listener)
      return {
        heardAll: () => tail,
        [Symbol.dispose]: () => {
          isListening = false
          listeners.delete(listener)
        },
      }
    },
  }
}
