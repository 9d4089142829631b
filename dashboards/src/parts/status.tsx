const SYMBOLS: Record<string, string> = {
  queued: '◌',
  pending: '◌',
  waiting: '◌',
  running: '●',
  progressing: '●',
  succeeded: '✓',
  failed: '✕',
  'rolled-back': '↺',
  cancelled: '⊘',
  superseded: '⇥',
  skipped: '⇥',
  cached: '≡',
}

/** A state in colour, sign and word: never in colour alone. */
export function Status({ of: status, quiet = false }: { of: string; quiet?: boolean }) {
  return (
    <span className={`status status-${status}`} title={status}>
      <span aria-hidden="true" className="status-sign">
        {SYMBOLS[status] ?? '?'}
      </span>
      <span className={quiet ? 'hidden-text' : ''}>{status}</span>
    </span>
  )
}
