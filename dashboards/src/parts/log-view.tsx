import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { LogLine } from '../log-lines.ts'
import type { LogRow, LogRows } from '../log-rows.ts'
import { AnsiText } from './ansi-text.tsx'

const LINE_HEIGHT_PX = 20
/** Closer to the end than this, the view follows. */
const AT_END_PX = 40

interface LogViewProps {
  log: LogRows
  /** Scrolls to this line when it changes. */
  focusLine: number | null
  isLive: boolean
}

/** The whole log, of which only the visible rows are in the page. It follows the end until the reader scrolls up. */
export function LogView({ log: { rows, rowOf }, focusLine, isLive }: LogViewProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const [isFollowing, setFollowing] = useState(focusLine === null)
  const visible = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_HEIGHT_PX,
    overscan: 30,
  })
  // The row of a line that is still to come is found once it is there.
  const focusRow = focusLine === null || rows.length === 0 ? null : rowOf(focusLine)

  useLayoutEffect(() => {
    if (isFollowing && rows.length > 0) visible.scrollToIndex(rows.length - 1, { align: 'end' })
  }, [isFollowing, rows.length, visible])

  useEffect(() => {
    if (focusRow === null) return
    setFollowing(false)
    visible.scrollToIndex(Math.max(0, focusRow - 1), { align: 'start' })
  }, [focusRow, visible])

  const onScroll = () => {
    const box = scroller.current
    if (box) setFollowing(box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PX)
  }

  return (
    <section className="log" aria-label="Build log">
      <div className="log-scroller" ref={scroller} onScroll={onScroll} tabIndex={0} role="log" aria-live="off">
        <div className="log-canvas" style={{ height: visible.getTotalSize() }}>
          {visible.getVirtualItems().map(({ key, start, index }) => (
            <Row key={key} top={start} row={rows[index]} isFocused={index === focusRow} />
          ))}
        </div>
        {rows.length === 0 && (
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

function Row({ row, top, isFocused }: { row: LogRow | undefined; top: number; isFocused: boolean }) {
  if (!row) return null
  const style = { transform: `translateY(${top}px)` }
  if (row.kind === 'line') return <Line line={row.line} style={style} isFocused={isFocused} />
  return (
    <div className="log-line log-heading" style={style}>
      <span className="log-number" aria-hidden="true">
        ▸
      </span>
      <span className="log-text">{row.title}</span>
    </div>
  )
}

function Line({ line, style, isFocused }: { line: LogLine; style: { transform: string }; isFocused: boolean }) {
  return (
    <div className={`log-line log-${line.stream}${isFocused ? ' log-focused' : ''}`} style={style}>
      <a className="log-number" href={`#L${line.number}`} id={`L${line.number}`}>
        {line.number}
      </a>
      <span className="log-text">
        <AnsiText text={line.text} />
      </span>
    </div>
  )
}
