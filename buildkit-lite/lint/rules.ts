/** What each rule asks for, in the words that users of other builders know. */
const DESCRIPTIONS = {
  StageNameCasing: 'Stage names should be lowercase',
  FromAsCasing: "The 'as' keyword should match the case of the 'from' keyword",
  NoEmptyContinuation: 'Empty continuation lines will become errors in a future release',
  ConsistentInstructionCasing: 'All commands within the Dockerfile should use the same casing (either upper or lower)',
  DuplicateStageName: 'Stage names should be unique',
  ReservedStageName: 'Reserved words should not be used as stage names',
  JSONArgsRecommended:
    'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
  MaintainerDeprecated: 'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
  UndefinedArgInFrom: 'FROM command must use declared ARGs',
  UndefinedVar: 'Variables should be defined before their use',
  WorkdirRelativePath:
    'Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes',
  MultipleInstructionsDisallowed: 'Multiple instructions of the same type should not be used in the same stage',
  LegacyKeyValueFormat: 'Legacy key/value format with whitespace separator should not be used',
  RedundantTargetPlatform:
    'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
  FromPlatformFlagConstDisallowed: 'FROM --platform flag should not use a constant value',
  InvalidBaseImagePlatform: 'Base image platform does not match expected target platform',
  InvalidDefaultArgInFrom: 'Default value for global ARG results in an empty or invalid base image name',
  SecretsUsedInArgOrEnv: 'Sensitive data should not be used in the ARG or ENV commands',
  CopyIgnoredFile: 'Attempting to Copy file that is excluded by .dockerignore',
  InvalidDefinitionDescription:
    'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.',
  ExposeProtoCasing: 'Protocol in EXPOSE instruction should be lowercase',
  ExposeInvalidFormat:
    'IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release',
} as const

export type RuleName = keyof typeof DESCRIPTIONS

/** Rules that are silent until a Dockerfile asks for them. */
const EXPERIMENTAL: readonly RuleName[] = ['InvalidDefinitionDescription']

export interface Rule {
  name: RuleName
  description: string
  /** The page that explains the rule. */
  url: string
  experimental: boolean
}

export const RULES: readonly Rule[] = (Object.keys(DESCRIPTIONS) as RuleName[]).map(ruleNamed)

export function ruleNamed(name: RuleName): Rule {
  const page = name.replace(/([a-z])([A-Z])|([A-Z])([A-Z][a-z])/g, '$1$3-$2$4').toLowerCase()
  return {
    name,
    description: DESCRIPTIONS[name],
    url: `https://docs.docker.com/go/dockerfile/rule/${page}/`,
    experimental: EXPERIMENTAL.includes(name),
  }
}
