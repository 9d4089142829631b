import { expect, test } from 'vitest'
import { placesOf } from '../../workers/build-request.ts'

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
