import type { BuildWarning } from '#domain/build'

/** So many are shown at once; more begin folded, for the log is what people come for. */
const SHOWN_OPEN = 2

/** What the linter says of the build's Dockerfile, with the lines it means. */
export function WarningList({ warnings }: { warnings: readonly BuildWarning[] }) {
  if (warnings.length === 0) return null
  return (
    <section className="card warnings" aria-label="Warnings">
      <details open={warnings.length <= SHOWN_OPEN}>
        <summary>
          <h2>Warnings</h2> <span className="muted">{warnings.length}</span>
        </summary>
        <ul>
          {warnings.map((warning, index) => (
            <Warning key={index} warning={warning} />
          ))}
        </ul>
      </details>
    </section>
  )
}

function Warning({ warning }: { warning: BuildWarning }) {
  const { rule, url, description, message, file, line, excerpt } = warning
  return (
    <li className="warning">
      <h3>
        {url.startsWith('https://') ? (
          <a href={url} target="_blank" rel="noreferrer" title={description}>
            {rule}
          </a>
        ) : (
          rule
        )}{' '}
        <span className="muted">
          {file}:{line}
        </span>
      </h3>
      <p className="message">{message}</p>
      <Excerpt text={excerpt} />
    </li>
  )
}

/** Lines of an excerpt are `  12 | >>> RUN …`, or blanks for the mark; the lines around them only frame it. */
const CODE_LINE = /^ *(\d+) \| (>>>| {3}) ?(.*)$/

function Excerpt({ text }: { text: string }) {
  const lines = text.split('\n').flatMap((line) => {
    const [, number, mark, code] = CODE_LINE.exec(line) ?? []
    return number === undefined ? [] : [{ number, guilty: mark === '>>>', code: code ?? '' }]
  })
  if (lines.length === 0) return null
  return (
    // Keys scroll it where it is wider than the page.
    <pre className="excerpt" tabIndex={0} role="group" aria-label="Lines of the Dockerfile">
      {lines.map(({ number, guilty, code }) => {
        const Line = guilty ? 'mark' : 'span'
        return (
          <Line key={number} className="excerpt-line">
            <span className="number muted">{number.padStart(4)}</span> {guilty ? <b aria-hidden="true">▸</b> : ' '}{' '}
            {code}
            {'\n'}
          </Line>
        )
      })}
    </pre>
  )
}
