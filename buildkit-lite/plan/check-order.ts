import { DockerfileError } from '../dockerfile/errors.ts'
import type { Need, StageGraph, StageNode } from './stage-graph.ts'

/** Fails where stages need each other in a circle, or where the target needs one that comes later in the file. */
export function checkOrder(graph: StageGraph, target: StageNode): void {
  const circle = findCircle(graph)
  if (circle) {
    const { stage, need } = circle
    throw new DockerfileError(`circular dependency detected on stage: ${stage.label}`, graph.source, need.at)
  }
  for (const stage of graph.reachable(target)) {
    const later = graph
      .needs(stage)
      .find((need) => need.origin.kind === 'stage' && need.origin.stage.index >= stage.index)
    if (later) throw new DockerfileError(describeLater(stage, later), graph.source, later.at)
  }
}

function describeLater(stage: StageNode, { name, by }: Need): string {
  if (by === 'mount') return `cannot mount from stage "${name}", stage needs to be defined before current command`
  return `cannot copy from stage "${name}", it needs to be defined before current stage "${stage.label}"`
}

interface Visit {
  stage: StageNode
  needs: readonly Need[]
  next: number
}

/** The first stage of a circle in file order, and what of it leads into the circle. Each need is followed once. */
function findCircle(graph: StageGraph): { stage: StageNode; need: Need } | null {
  const done = new Set<StageNode>()
  for (const start of graph.stages) {
    const path: Visit[] = [{ stage: start, needs: graph.needs(start), next: 0 }]
    const onPath = new Set([start])
    for (let visit = path.at(-1); visit; visit = path.at(-1)) {
      const need = done.has(visit.stage) ? undefined : visit.needs[visit.next++]
      if (!need) {
        done.add(visit.stage)
        onPath.delete(visit.stage)
        path.pop()
      } else if (need.origin.kind === 'stage') {
        const { stage } = need.origin
        if (onPath.has(stage)) return firstOf(path, stage)
        if (done.has(stage)) continue
        onPath.add(stage)
        path.push({ stage, needs: graph.needs(stage), next: 0 })
      }
    }
  }
  return null
}

function firstOf(path: readonly Visit[], back: StageNode): { stage: StageNode; need: Need } | null {
  const circle = path.slice(path.findIndex(({ stage }) => stage === back))
  const [first] = circle.toSorted((a, b) => a.stage.index - b.stage.index)
  const need = first?.needs[first.next - 1]
  return first && need ? { stage: first.stage, need } : null
}
