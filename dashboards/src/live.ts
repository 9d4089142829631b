import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useReducer, useRef, useState } from 'react'
import type { Build } from '#domain/build'
import { applyBuildEvent, BuildEvent } from '#domain/build-event'
import type { Rollout } from '#domain/rollout'
import type { Page } from './api.ts'
import { addLogLines, dropPreview, type LogLine } from './log-lines.ts'

const KINDS = BuildEvent.options.map((option) => option.shape.kind.value)

export type Connection = 'connecting' | 'live' | 'ended' | 'lost'

export interface LiveBuild {
  build: Build | null
  lines: readonly LogLine[]
  connection: Connection
}

/** Follows a build: the page folds the same events with the same function as the server. */
export function useLiveBuild(id: string): LiveBuild {
  const state = useRef<{ build: Build | null; lines: LogLine[] }>({ build: null, lines: [] })
  const [connection, setConnection] = useState<Connection>('connecting')
  const [, redraw] = useReducer((count: number) => count + 1, 0)

  useEffect(() => {
    state.current = { build: null, lines: [] }
    let frame = 0
    // Many events may come in one frame; the page is drawn once for all of them.
    const drawSoon = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0
        redraw()
      })
    }
    const source = new EventSource(`/api/v1/builds/${id}/events`)
    const onEvent = (message: MessageEvent<string>) => {
      const event = JSON.parse(message.data) as BuildEvent
      if (event.kind === 'log') addLogLines(state.current.lines, event)
      if (event.kind === 'finished' || event.kind === 'worker-lost') dropPreview(state.current.lines)
      const { build } = state.current
      if (event.kind === 'queued') state.current.build = applyBuildEvent({} as Build, event)
      else if (build) state.current.build = applyBuildEvent(build, event)
      drawSoon()
    }
    for (const kind of KINDS) source.addEventListener(kind, onEvent)
    source.addEventListener('open', () => setConnection('live'))
    source.addEventListener('error', () =>
      setConnection(source.readyState === EventSource.CLOSED ? 'lost' : 'connecting'),
    )
    source.addEventListener('eof', () => {
      setConnection('ended')
      source.close()
    })
    return () => {
      cancelAnimationFrame(frame)
      source.close()
    }
  }, [id])

  return { ...state.current, connection }
}

/** Keeps lists of builds up to date: each changed build is put in its place. */
export function useLiveBuilds(key: readonly unknown[], accepts: (build: Build) => boolean = () => true): void {
  useLiveItems<Build>('/api/v1/builds/events', key, accepts)
}

export function useLiveRollouts(): void {
  useLiveItems<Rollout>('/api/v1/rollouts/events', ['rollouts'], () => true)
}

function useLiveItems<T extends { id: string }>(
  url: string,
  key: readonly unknown[],
  accepts: (item: T) => boolean,
): void {
  const client = useQueryClient()
  const accept = useRef(accepts)
  accept.current = accepts
  const keyText = JSON.stringify(key)
  useEffect(() => {
    const queryKey = JSON.parse(keyText) as unknown[]
    const source = new EventSource(url)
    let opened = false
    // What changed while the connection was away is fetched once it is back.
    source.addEventListener('open', () => {
      if (opened) void client.invalidateQueries({ queryKey })
      opened = true
    })
    source.addEventListener('message', (message: MessageEvent<string>) => {
      const item = JSON.parse(message.data) as T
      if (!accept.current(item)) return
      client.setQueryData<Page<T>>(queryKey, (page) => page && { ...page, items: putItem(page.items, item) })
    })
    return () => source.close()
  }, [client, url, keyText])
}

/** The list with the item in its place, or in front if it is new. */
function putItem<T extends { id: string }>(items: readonly T[], item: T): T[] {
  const at = items.findIndex((one) => one.id === item.id)
  return at < 0 ? [item, ...items] : items.with(at, item)
}
