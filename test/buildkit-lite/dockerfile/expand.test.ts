import { describe, expect, test } from 'vitest'
import { SyntaxFault } from '../../../buildkit-lite/dockerfile/errors.ts'
import { expand } from '../../../buildkit-lite/dockerfile/expand.ts'

const variables = new Map([
  ['SET', 'value'],
  ['EMPTY', ''],
  ['PATHS', '/usr/local/bin/tool.tar.gz'],
  ['AA', 'abcabc'],
  ['STAR', 'a*b*c'],
  ['WORDS', '80 443'],
  ['Ünï', 'umlaut'],
])

describe('what a word becomes', () => {
  test.for([
    ['plain', 'plain'],
    ['', ''],
    ['$SET', 'value'],
    ['a${SET}b', 'avalueb'],
    ['$SET_x', ''],
    ['${SET}_x', 'value_x'],
    ['$UNSET', ''],
    ['$.', '$.'],
    ['a$', 'a$'],
    ['$1$@$$$?', ''],
    ['$12x', 'x'],
    ['$Ünï', 'umlaut'],
    // Alternatives.
    ['${SET:-d}', 'value'],
    ['${EMPTY:-d}', 'd'],
    ['${UNSET:-d}', 'd'],
    ['${EMPTY-d}', ''],
    ['${UNSET-d}', 'd'],
    ['${SET:+a}', 'a'],
    ['${EMPTY:+a}', ''],
    ['${EMPTY+a}', 'a'],
    ['${UNSET+a}', ''],
    ['${UNSET:-${SET}x}', 'valuex'],
    ['${UNSET:-${EMPTY:-deep}}', 'deep'],
    ['"${UNSET:-two words}"', 'two words'],
    ['${UNSET:-"q q"}', 'q q'],
    ['${UNSET:-\\$SET}', '$SET'],
    ['${SET:?no}', 'value'],
    ['${EMPTY?no}', ''],
    // Removal of prefixes and suffixes.
    ['${PATHS#*/}', 'usr/local/bin/tool.tar.gz'],
    ['${PATHS##*/}', 'tool.tar.gz'],
    ['${PATHS%.*}', '/usr/local/bin/tool.tar'],
    ['${PATHS%%.*}', '/usr/local/bin/tool'],
    ['${AA#a?c}', 'abc'],
    ['${AA#x}', 'abcabc'],
    ['${AA#[a]}', 'abcabc'],
    ['${STAR#a\\*}', 'b*c'],
    ['${UNSET#x}', ''],
    ['${AA%c}', 'abcab'],
    ['${AA%b*}', 'abca'],
    ['${AA%%b*}', 'a'],
    ['${AA##*b}', 'c'],
    ['${AA#}', 'abcabc'],
    ['${AA##}', 'abcabc'],
    ['${AA%*}', 'abcabc'],
    ['${AA%%*}', ''],
    ['${AA#$UNSET}', 'abcabc'],
    ['${PATHS#"/usr"}', '/local/bin/tool.tar.gz'],
    ['${PATHS#${UNSET:-/usr}}', '/local/bin/tool.tar.gz'],
    ['${STAR%\\*c}', 'a*b'],
    ['${STAR#a"*"}', '*b*c'],
    // Replacement.
    ['${AA/b/X}', 'aXcabc'],
    ['${AA//b/X}', 'aXcaXc'],
    ['${AA//b/}', 'acac'],
    ['${AA/b*/X}', 'aX'],
    ['${AA//a?/<$SET>}', '<value>c<value>c'],
    ['${PATHS//\\//-}', '-usr-local-bin-tool.tar.gz'],
    ['${AA/z/X}', 'abcabc'],
    ['${AA/b//}', 'a/cabc'],
    ['${AA//?/x}', 'xxxxxx'],
    ['${AA//*/x}', 'x'],
    ['${AA/$UNSET/x}', 'xabcabc'],
    ['${AA//$UNSET/-}', '-a-b-c-a-b-c-'],
    ['${AA//b/$AA}', 'aabcabccaabcabcc'],
    ['${AA/"b"/\'x y\'}', 'ax ycabc'],
    ['${UNSET/a/b}', ''],
    ['${EMPTY/*/b}', 'b'],
    // Quotes and escapes.
    ["'$SET \\n'", '$SET \\n'],
    ['"$SET \\n"', 'value \\n'],
    ['"\\"\\$SET\\\\"', '"$SET\\'],
    ['a\\tb', 'atb'],
    ['\\$SET', '$SET'],
    ['end\\', 'end'],
    ['a\\\\b', 'a\\b'],
    ['"a\\tb"', 'a\\tb'],
    ['"it\'s"', "it's"],
    ["'a\"b'", 'a"b'],
    ['"${SET}\'$SET\'"', "value'value'"],
    ['< << <<<', '< << <<<'],
    ['é😀\\😀', 'é😀😀'],
    ['$é', ''],
    ['$0$9a$!$-$#$*', 'a'],
    ['${SET:+"a b" c}', 'a b c'],
    ['${UNSET:-}', ''],
    ["it\\'s", "it's"],
    [`'a'"b"c`, 'abc'],
  ] as const)('%s → %s', ([source, expected]) => {
    expect(expand(source, variables, { escape: '\\' }).text).toBe(expected)
  })

  test.for([
    ['C:\\a\\b', 'C:\\a\\b'],
    ['a`$SET', 'a$SET'],
    ['"x`"y"', 'x"y'],
    ['a`b', 'ab'],
  ] as const)('with the backquote as escape, %s → %s', ([source, expected]) => {
    expect(expand(source, variables, { escape: '`' }).text).toBe(expected)
  })

  test.for([
    ['"$SET" \'$SET\'', '"value" \'value\''],
    ['\\$SET \\\\', '$SET \\'],
    ["it's ${UNSET:-fine}", "it's fine"],
    ['one\\\ntwo', 'onetwo'],
  ] as const)('where quotes are literal, %j → %j', ([source, expected]) => {
    expect(expand(source, variables, { escape: '\\', literalQuotes: true }).text).toBe(expected)
  })
})

test.for([
  ['$WORDS 90', ['80', '443', '90']],
  ['"$WORDS" 90', ['80 443', '90']],
  ['a\\ b c', ['a b', 'c']],
  ['  ', []],
] as const)('%s has the words %j', ([source, words]) => {
  expect(expand(source, variables, { escape: '\\' }).words).toEqual(words)
})

test('names without a value are told, also behind a default', () => {
  expect([...expand('$SET ${NOPE:-x} $NADA', variables, { escape: '\\' }).unset]).toEqual(['NOPE', 'NADA'])
})

describe('mistakes', () => {
  test.for([
    ['${SET:-${UNSET?no}}', 'UNSET: no'],
    ['${ SET}', 'unsupported modifier ( ) in substitution'],
    ['${SET^^}', 'unsupported modifier (^) in substitution'],
    ['${SET:}', "syntax error: missing '}'"],
    ['${SET:2}', 'unsupported modifier (:2) in substitution'],
    ['"${SET', "syntax error: missing '}'"],
    ['${AA/b', "syntax error: missing '/' in ${}"],
    ['${SET', "syntax error: missing '}'"],
    ['${', "syntax error: missing '}'"],
    ['${SET:-x', "syntax error: missing '}'"],
    ['${}', 'bad substitution'],
    ['${:}', 'bad substitution'],
    ['${{SET}}', 'bad substitution'],
    ['${SET=w}', 'unsupported modifier (=) in substitution'],
    ['${SET:=w}', 'unsupported modifier (:=) in substitution'],
    ['${SET:#w}', 'unsupported modifier (:#) in substitution'],
    ['${AA/b}', "syntax error: missing '/' in ${}"],
    ['${AA/b/c', "syntax error: missing '}'"],
    ['${AA#\\a}', "invalid escape '\\a'"],
    ['${UNSET?}', 'UNSET: is not allowed to be unset'],
    ['${EMPTY:?}', 'EMPTY: is not allowed to be empty'],
    ['${UNSET:?"say why"}', 'UNSET: say why'],
    ["'open", 'unexpected end of statement while looking for matching single-quote'],
    ['"open', 'unexpected end of statement while looking for matching double-quote'],
  ] as const)('%s: %s', ([source, message]) => {
    const work = () => expand(source, variables, { escape: '\\' })
    expect(work).toThrow(SyntaxFault)
    expect(work).toThrow(`failed to process "${source.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`)
    expect(work).toThrow(message)
  })
})

test('a pattern that would backtrack for ever elsewhere is quick here', () => {
  const value = 'a'.repeat(200)
  const text = '${V##*a*a*a*a*a*a*a*a*a*b}'
  const started = performance.now()
  expect(expand(text, new Map([['V', value]]), { escape: '\\' }).text).toBe(value)
  expect(performance.now() - started).toBeLessThan(2000)
})
