import { expect, test } from 'vitest'
import { ProjectName } from '#domain/ids'
import { cacheScopesOf, placesOf } from '../../workers/build-request.ts'

test.for([
  ['Dockerfile', '/', '', 'Dockerfile'],
  ['/Dockerfile', '.', '', 'Dockerfile'],
  ['docker/app.Dockerfile', '/', '', 'docker/app.Dockerfile'],
  ['docker/Dockerfile', '', 'docker', 'Dockerfile'],
  ['Dockerfile', '', '', 'Dockerfile'],
  ['web/Dockerfile', '/web/', 'web', 'Dockerfile'],
  ['docker/Dockerfile', 'src', 'src', null],
  ['a/../../../Dockerfile', 'x/../../..', '', 'Dockerfile'],
] as const)('Dockerfile %j with context %j is %j and %j', ([dockerfile, context, directory, inside]) => {
  expect(placesOf({ dockerfile, context })).toMatchObject({ directory, dockerfile: inside })
})

test('a build of a fork leaves nothing in the cache of trusted builds', () => {
  const project = ProjectName.parse('acme/web')
  expect(cacheScopesOf({ project })).toEqual({ cacheScope: 'acme/web' })
  expect(cacheScopesOf({ project, isFork: true })).toEqual({ cacheScope: 'acme/web/forks', readScopes: ['acme/web'] })
})
