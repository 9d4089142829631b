import Anser from 'anser'
import { memo } from 'react'

// What moves the cursor, sets titles or opens links has no place in a log: everything but colours (CSI … m) goes.
const CONTROL =
  // oxlint-disable-next-line no-control-regex
  /\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b\[[0-9;?]*[A-LN-Za-ln-z]|\u001b[^[\]]|[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g

/** A line of a build's output: text and colours, never markup. */
export const AnsiText = memo(function AnsiText({ text }: { text: string }) {
  const safe = text.replace(CONTROL, '')
  if (!safe.includes('\u001b[')) return <>{safe}</>
  return Anser.ansiToJson(safe, { use_classes: true, remove_empty: true }).map((part, index) => (
    <span key={index} className={[part.fg, part.bg && `${part.bg}-bg`, ...part.decorations].filter(Boolean).join(' ')}>
      {part.content}
    </span>
  ))
})
