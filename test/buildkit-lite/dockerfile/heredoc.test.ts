import { describe, expect, test } from 'vitest'
import { findHeredocs, heredocBody } from '../../../buildkit-lite/dockerfile/heredoc.ts'
import type { CopyInstruction, RunInstruction } from '../../../buildkit-lite/dockerfile/instruction.ts'
import { parseDockerfile } from '../../../buildkit-lite/dockerfile/parse.ts'

describe('what a line announces', () => {
  test.for([
    ['RUN <<EOF', ['EOF']],
    ['RUN <<EOF cat', ['EOF']],
    ['RUN cat <<A 3<<B', ['A', 'B']],
    ['RUN << EOF', ['EOF']],
    ['RUN <<\tEOF cat', ['EOF']],
    ['RUN <<-EOF', ['EOF']],
    ['RUN <<- EOF', []],
    ['RUN <<"two words"', ['two words']],
    ["RUN <<'EOF'", ['EOF']],
    ['RUN <<E"O"F', ['EOF']],
    ['RUN <<E\\ OF', ['E OF']],
    ['RUN <<$EOF', ['$EOF']],
    ['RUN <<${EOF:-x}', ['${EOF:-x}']],
    ['RUN <<EOF>file', ['EOF>file']],
    // None of these is one.
    ['RUN "<<EOF"', []],
    ["RUN echo '<<EOF'", []],
    ['RUN a<<EOF', []],
    ['RUN $((1<<3))', []],
    ['RUN <<<EOF', []],
    ['RUN <<""', []],
    ['RUN \\<<EOF', []],
    ['RUN <', []],
    // But this is, though the shell would not say so.
    ['RUN $(( 1 << 3 ))', ['3']],
    ['RUN ${A:=b} <<EOF', ['EOF']],
    // What is no text for the shell announces nothing.
    ["RUN it's <<EOF", []],
    ['RUN ${A^^} <<EOF', []],
    ['RUN ${A <<EOF', []],
  ] as const)('%s → %j', ([line, names]) => {
    expect(findHeredocs(line).map(({ name }) => name)).toEqual(names)
  })

  test.for([
    ['<<EOF', { chomp: false, expands: true }],
    ['<<-EOF', { chomp: true, expands: true }],
    ['<<"EOF"', { chomp: false, expands: false }],
    ["<<-'EOF'", { chomp: true, expands: false }],
    ['<<E"OF"', { expands: false }],
    ['<<E\\OF', { name: 'EOF', expands: true }],
    ["<<E\\'F", { name: "E'F", expands: true }],
  ] as const)('%s is %j', ([line, mark]) => {
    expect(findHeredocs(line)).toMatchObject([mark])
  })
})

function run(text: string): RunInstruction {
  const [placed] = parseDockerfile(`FROM a\n${text}`, 'Dockerfile').stages[0]?.instructions ?? []
  return placed?.instruction as RunInstruction
}
const copy = (text: string) => run(text) as unknown as CopyInstruction

describe('bodies', () => {
  test.for([
    ['RUN <<E\na\nE', ['a\n']],
    ['RUN <<E\nE', ['']],
    ['RUN <<E\n# no comment\n\nE\n', ['# no comment\n\n']],
    ['RUN <<E\na \\\nb\nE\n', ['a \\\nb\n']],
    ['RUN <<E\na\r\nE\r\n', ['a\r\n']],
    ['RUN <<E\n E\nE x\nE\n', [' E\nE x\n']],
    ['RUN <<-E\n\ta\n\t E\n\tE\n', ['\ta\n\t E\n']],
    ['RUN <<A <<B\nB\nA\nA\nB\n', ['B\n', 'A\n']],
    ['RUN a \\\n  <<E\nb\nE\n', ['b\n']],
    ['RUN --mount=type=tmpfs,target=/t <<E\na\nE\n', ['a\n']],
    ['RUN ["echo", "<<E"]', []],
    ['RUN ["echo", "<<E"', []],
    ['run <<E\na\nE', ['a\n']],
    ['ADD <<E /x\na\nE', ['a\n']],
    ['COPY --chmod=1 <<E /x\na\nE', ['a\n']],
  ] as const)('%j', ([text, bodies]) => {
    expect(run(text).heredocs.map(({ content }) => content)).toEqual(bodies)
  })

  test('tabs, and nothing else, are stripped for `<<-`', () => {
    const [heredoc] = run('RUN <<-E\n\t\ta\n  b\n\t c\tc\nE').heredocs
    expect(heredoc && heredocBody(heredoc)).toBe('a\n  b\n c\tc\n')
  })

  test('the text of a JSON form announces nothing', () => {
    expect(run('RUN ["echo", "<<E"]')).toMatchObject({ heredocs: [], command: { args: ['echo', '<<E'] } })
    expect(copy('COPY ["<<E", "/x"]')).toMatchObject({ heredocs: [], sources: ['<<E'] })
  })

  test('ONBUILD keeps them in its text', () => {
    expect(run('ONBUILD RUN <<E\na\nE\n')).toEqual({ kind: 'ONBUILD', trigger: 'RUN <<E\na\nE' })
    expect(run('ONBUILD ENV A=<<E')).toEqual({ kind: 'ONBUILD', trigger: 'ENV A=<<E' })
  })
})

describe('COPY', () => {
  test('takes them beside ordinary sources, in its own order', () => {
    const instruction = copy('COPY <<A f <<-"B" /d/\na\nA\n\tb\nB\n')
    expect(instruction).toMatchObject({ sources: ['f'], destination: '/d/' })
    expect(instruction.heredocs).toEqual([
      { name: 'A', content: 'a\n', chomp: false, expands: true },
      { name: 'B', content: '\tb\n', chomp: true, expands: false },
    ])
  })

  test('cuts its words at blanks first: such a name is no mark any more', () => {
    expect(copy('COPY << E /x\na\nE\n')).toMatchObject({ sources: ['<<', 'E'], heredocs: [] })
    expect(copy('COPY <<"a b" /x\nc\na b\n')).toMatchObject({ sources: ['<<"a', 'b"'], heredocs: [] })
  })
})
