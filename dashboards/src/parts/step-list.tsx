import type { BuildStep } from '#domain/build'
import { Status } from './status.tsx'
import { Duration } from './time.tsx'

interface StepListProps {
  steps: readonly BuildStep[]
  /** First line of each step's output, where it printed any. */
  firstLines: ReadonlyMap<string, number>
  onSelect: (line: number) => void
}

/** The plan's steps in order, each with its state, its time, and why it ran. */
export function StepList({ steps, firstLines, onSelect }: StepListProps) {
  return (
    <ol className="steps" aria-label="Steps">
      {steps.map((step) => {
        const line = firstLines.get(step.id)
        return (
          <li key={step.id} className={`step step-${step.status}`}>
            <button type="button" disabled={line === undefined} onClick={() => line !== undefined && onSelect(line)}>
              <Status of={step.cached ? 'cached' : step.status} quiet />
              <span className="step-title" title={step.title}>
                <span className="muted">{step.stage}</span> <code>{step.title}</code>
              </span>
              <Duration startMs={step.startedAtMs} endMs={step.finishedAtMs} />
            </button>
            {step.missReason && <p className="step-reason">{step.missReason}</p>}
          </li>
        )
      })}
    </ol>
  )
}
