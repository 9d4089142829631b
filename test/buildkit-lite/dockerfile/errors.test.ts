import { describe, expect, test } from 'vitest'
import { DockerfileError, renderExcerpt } from '../../../buildkit-lite/dockerfile/errors.ts'
import { parseDockerfile } from '../../../buildkit-lite/dockerfile/parse.ts'

describe('mistakes that parsing finds, with their line', () => {
  test.for([
    ['', 1, 'the Dockerfile (Dockerfile) cannot be empty'],
    ['# only\n\n# comments\n', 1, 'file with no instructions'],
    ['ARG A=1\n', 1, 'dockerfile contains no stages to build'],
    ['RUN echo\nFROM a', 1, 'no build stage in current context'],
    ['FROM a\nRUNN echo', 2, 'dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)'],
    ['FOO a', 1, 'unknown instruction: FOO (did you mean FROM?)'],
    ['FROM a\nxyzzy', 2, 'unknown instruction: xyzzy, expected one of ADD, ARG, CMD'],
    ['# escape=x\nFROM a', 1, "invalid escape token 'x' does not match ` or \\"],
    ['# escape=`\n# escape=`\nFROM a', 2, 'only one escape parser directive can be used'],
    ['# syntax=example.org/other:1\nFROM a', 1, 'syntax example.org/other:1 is not supported'],
    ['FROM a b', 1, 'FROM requires either one or three arguments'],
    ['FROM a OF b', 1, 'FROM requires either one or three arguments'],
    ['FROM a AS 1st', 1, 'invalid name for build stage: "1st"'],
    ['FROM a\nCOPY --form=x a /b', 2, 'unknown flag: --form (did you mean from?)'],
    ['FROM a\nCOPY --chown a /b', 2, 'missing a value on flag: --chown'],
    ['FROM a\nCOPY --chown=1 --chown=2 a /b', 2, 'duplicate flag specified: chown'],
    ['FROM a\nCOPY --link=perhaps a /b', 2, 'expecting boolean value for flag --link, not: perhaps'],
    ['FROM a\nENV --x=1 A=1', 2, 'unknown flag: --x'],
    ['FROM a\nCOPY a', 2, 'COPY requires at least two arguments, but only one was provided. Destination'],
    ['FROM a\nCOPY a <<EOF\nEOF', 2, 'COPY cannot accept a heredoc as a destination'],
    ['FROM a\nCOPY --from=$X a /b', 2, 'variable expansion is not supported for --from'],
    ['FROM a\nADD --from=b a /b', 2, 'unknown flag: --from'],
    ['FROM a\nRUN <<EOF\necho', 2, 'unterminated heredoc'],
    ['FROM a\nRUN echo $(( 1 << 3 ))', 2, 'unterminated heredoc'],
    ['FROM a\nRUN --network=foo id', 2, 'invalid network mode "foo"'],
    ['FROM a\nENV', 2, 'ENV requires at least one argument'],
    ['FROM a\nENV a', 2, 'ENV must have two arguments'],
    ['FROM a\nENV a=1 b', 2, `Syntax error - can't find = in "b". Must be of the form: name=value`],
    ['FROM a\nENV =1', 2, 'ENV names can not be blank'],
    ['FROM a\nARG =1', 2, 'ARG names can not be blank'],
    ['FROM a\nCMD ["a", 1]', 2, 'arrays must be comprised of strings only'],
    ['FROM a\nSHELL /bin/sh', 2, 'SHELL requires the arguments to be in JSON form'],
    ['FROM a\nSHELL', 2, 'SHELL requires at least one argument'],
    ['FROM a\nSHELL []', 2, 'SHELL requires at least one argument'],
    ['FROM a\nWORKDIR', 2, 'WORKDIR requires exactly one argument'],
    ['FROM a\nEXPOSE', 2, 'EXPOSE requires at least one argument'],
    ['FROM a\nVOLUME [""]', 2, 'VOLUME specified can not be an empty string'],
    ['FROM a\nHEALTHCHECK FOO x', 2, 'Unknown type "FOO" in HEALTHCHECK (try CMD)'],
    ['FROM a\nHEALTHCHECK CMD', 2, 'Missing command after HEALTHCHECK CMD'],
    ['FROM a\nHEALTHCHECK NONE x', 2, 'HEALTHCHECK NONE takes no arguments'],
    ['FROM a\nHEALTHCHECK --interval=1us CMD x', 2, 'Interval "interval" cannot be less than 1ms'],
    ['FROM a\nHEALTHCHECK --timeout=soon CMD x', 2, 'invalid duration "soon"'],
    ['FROM a\nONBUILD ONBUILD RUN x', 2, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ['FROM a\nONBUILD FROM b', 2, "FROM isn't allowed as an ONBUILD trigger"],
    ['FROM', 1, 'FROM requires either one or three arguments'],
    ['FROM a AS', 1, 'FROM requires either one or three arguments'],
    ['FROM a AS b c', 1, 'FROM requires either one or three arguments: FROM IMAGE or FROM IMAGE AS NAME, got a AS b c'],
    ['FROM --platfrom=x a', 1, 'unknown flag: --platfrom (did you mean platform?)'],
    ['FROM a AS b/c', 1, 'invalid name for build stage: "b/c", name can\'t start with a number or contain symbols'],
    ['FROM a\nrunn x', 2, 'unknown instruction: runn (did you mean run?)'],
    ['FROM a\nCPOY x y', 2, 'unknown instruction: CPOY (did you mean COPY?)'],
    ['FROM a\n\\', 2, 'unknown instruction: '],
    ['RUN x\nFOO', 1, 'no build stage in current context: only ARG may stand before the first FROM, got RUN'],
    ['# syntax=a\n# syntax=a\nFROM a', 1, 'syntax a is not supported'],
    [
      '# syntax=docker/dockerfile:1\n#syntax=docker/dockerfile:1\nFROM a',
      2,
      'only one syntax parser directive can be used',
    ],
    ['# check=skip=all\n# check=skip=all\nFROM a', 2, 'only one check parser directive can be used'],
    ['FROM a\nRUN --mont=type=cache,target=/c x', 2, 'unknown flag: --mont (did you mean mount?)'],
    ['FROM a\nRUN --zzzzzz x', 2, 'unknown flag: --zzzzzz, expected one of --mount, --network, --security, --device'],
    ['FROM a\nRUN --network=none --network=none x', 2, 'duplicate flag specified: network'],
    [
      'FROM a\nRUN --network=nome x',
      2,
      'invalid network mode "nome", expected default, none, host (did you mean none?)',
    ],
    ['FROM a\nRUN --mount x', 2, 'missing a value on flag: --mount'],
    [
      'FROM a\nRUN --mount=from=$X,target=/a x',
      2,
      "'from' doesn't support variable expansion, define alias stage instead",
    ],
    ['FROM a\nRUN --mount=target=a\\"b x', 2, 'failed to parse csv mounts: bare "'],
    ['FROM a\nRUN --mount=\\"a x', 2, 'failed to parse csv mounts: extraneous or missing "'],
    ['FROM a\nRUN --device=a,b x', 2, "invalid field 'b' must be a key=value pair"],
    ['FROM a\nRUN --device=a,requird=1 x', 2, "unexpected key 'requird' in 'requird=1' (did you mean required?)"],
    ['FROM a\nRUN --device=a,required=perhaps x', 2, 'invalid value for required: perhaps'],
    ['FROM a\nRUN --device=a,name=b x', 2, 'device name already set to a'],
    ['FROM a\nCOPY --link= a /b', 2, 'missing a value on flag: --link'],
    ['FROM a\nCOPY --chown a', 2, 'COPY requires at least two arguments, but only one was provided'],
    ['FROM a\nCOPY ["a"]', 2, 'COPY requires at least two arguments, but only one was provided'],
    ['FROM a\nADD', 2, 'ADD requires at least two arguments'],
    ['FROM a\nADD a 1<<E\nE', 2, 'ADD cannot accept a heredoc as a destination'],
    ['FROM a\nRUN [["a"]]', 2, 'arrays must be comprised of strings only'],
    ['FROM a\nUSER --x y', 2, 'unknown flag: --x, the instruction has none'],
    ['FROM a\nLABEL', 2, 'LABEL requires at least one argument'],
    ['FROM a\nLABEL a', 2, 'LABEL must have two arguments'],
    ['FROM a\nLABEL =a', 2, 'LABEL names can not be blank'],
    ['FROM a\nARG', 2, 'ARG requires at least one argument'],
    ['FROM a\nVOLUME', 2, 'VOLUME requires at least one argument'],
    ['FROM a\nUSER', 2, 'USER requires exactly one argument'],
    ['FROM a\nSTOPSIGNAL', 2, 'STOPSIGNAL requires exactly one argument'],
    ['FROM a\nMAINTAINER', 2, 'MAINTAINER requires exactly one argument'],
    ['FROM a\nHEALTHCHECK', 2, 'HEALTHCHECK requires at least one argument'],
    ['FROM a\nHEALTHCHECK CMD []', 2, 'Missing command after HEALTHCHECK CMD'],
    ['FROM a\nHEALTHCHECK --retries=-1 CMD x', 2, '--retries cannot be negative (-1)'],
    ['FROM a\nHEALTHCHECK --retries=3000000000 CMD x', 2, '--retries must be a whole number up to 2147483647'],
    ['FROM a\nHEALTHCHECK --intervall=1s CMD x', 2, 'unknown flag: --intervall (did you mean interval?)'],
    ['FROM a\nONBUILD', 2, 'ONBUILD requires at least one argument'],
    ['FROM a\nONBUILD --x RUN y', 2, 'unknown flag: --x'],
    ['FROM a\nONBUILD maintainer x', 2, "MAINTAINER isn't allowed as an ONBUILD trigger"],
    ['FROM a\nONBUILD ENV x', 2, 'ENV must have two arguments'],
    ['FROM a\nONBUILD CMD [1]', 2, 'arrays must be comprised of strings only'],
    ['FROM a\nRUN cat <<A <<B\nA\n', 2, 'unterminated heredoc, expected a line that is only B'],
    [`FROM a\nRUN ${'x'.repeat(70_000)}`, 2, 'dockerfile line greater than max allowed size of 65535'],
  ] as const)('%j', ([text, line, message]) => {
    try {
      parseDockerfile(text, 'Dockerfile')
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(DockerfileError)
      expect(error).toMatchObject({ kind: 'dockerfile-invalid', line, file: 'Dockerfile' })
      expect((error as DockerfileError).message).toContain(message)
    }
  })
})

describe('what is no mistake', () => {
  test.for([
    ['FROM a\nRUN\n', 'an empty RUN'],
    ['FROM a\nRUN x \\', 'an escape at the end'],
    ['FROM a\nCMD [\'x\', "y"]', 'JSON that is none'],
    ['\uFEFFFROM a', 'a byte order mark'],
    ['FROM a\r\nRUN x\r\n', 'carriage returns'],
    ['# not=a directive\n# escape=x\nFROM a', 'a directive behind a comment'],
    ['FROM a\nCOPY -- a /b', 'the end of flags'],
    ['FROM a\nRUN --security=insecure id', 'a privilege, which only planning and building can refuse'],
  ] as const)('%j: %s', ([text]) => {
    expect(parseDockerfile(text, 'Dockerfile').stages).toHaveLength(1)
  })
})

test('an excerpt shows all lines of the instruction and one around them', () => {
  const text = '1\n2\n3\n4 \\\n5\n6\n7\n8\n'
  expect(renderExcerpt({ name: 'app.Dockerfile', text }, { first: 4, last: 5 }).split('\n')).toEqual([
    'app.Dockerfile:4',
    '--------------------',
    '   3 |     3',
    '   4 | >>> 4 \\',
    '   5 | >>> 5',
    '   6 |     6',
    '--------------------',
  ])
})
