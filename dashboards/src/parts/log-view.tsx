import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { LogLine } from '../log-lines.ts'
import { AnsiText } from './ansi-text.tsx'

const LINE_HEIGHT_PX = 20
/** Closer to the end than this, the view follows. */
const AT_END_PX = 40

interface LogViewProps {
  lines: readonly LogLine[]
  /** Scrolls to this line when it changes. */
  focusLine: number | null
  isLive: boolean
}

/** The whole log, of which only the visible lines are in the page. It follows the end until the reader scrolls up. */
export function LogView({ lines, focusLine, isLive }: LogViewProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const [isFollowing, setFollowing] = useState(focusLine === null)
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_HEIGHT_PX,
    overscan: 30,
  })

  useLayoutEffect(() => {
    if (isFollowing && lines.length > 0) rows.scrollToIndex(lines.length - 1, { align: 'end' })
  }, [isFollowing, lines.length, rows])

  useEffect(() => {
    if (focusLine === null) return
    setFollowing(false)
    rows.scrollToIndex(focusLine - 1, { align: 'start' })
  }, [focusLine, rows])

  const onScroll = () => {
    const box = scroller.current
    if (box) setFollowing(box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PX)
  }

  return (
    <section className="log" aria-label="Build log">
      <div className="log-scroller" ref={scroller} onScroll={onScroll} tabIndex={0} role="log" aria-live="off">
        <div className="log-canvas" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((row) => (
            <LogRow key={row.key} top={row.start} line={lines[row.index]} isFocused={row.index + 1 === focusLine} />
          ))}
        </div>
        {lines.length === 0 && (
          <p className="empty">{isLive ? 'Waiting for the first line…' : 'This build printed nothing.'}</p>
        )}
      </div>
      {!isFollowing && isLive && (
        <button type="button" className="log-follow" onClick={() => setFollowing(true)}>
          ↓ Follow the log
        </button>
      )}
    </section>
  )
}

function LogRow({ line, top, isFocused }: { line: LogLine | undefined; top: number; isFocused: boolean }) {
  if (!line) return null
  return (
    <div
      className={`log-line log-${line.stream}${isFocused ? ' log-focused' : ''}`}
      style={{ transform: `translateY(${top}px)` }}
    >
      <a className="log-number" href={`#L${line.number}`} id={`L${line.number}`}>
        {line.number}
      </a>
      <span className="log-text">
        <AnsiText text={line.text} />
      </span>
    </div>
  )
}
