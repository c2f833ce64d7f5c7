// Answers questions about IAM documents, one JSON object a line:
//
//   {"document":"d1","kind":"identity"|"trust"|"resource","policy":{…}}
//       keeps a document; answers {"document":"d1","errors":[…]}
//   {"id":1,"identity":"d1","resource":"d2","principal":"arn:…","action":"s3:PutObject","arn":"arn:…","context":{…}}
//       answers {"id":1,"result":"Allowed"|"ImplicitlyDenied"|"ExplicitlyDenied","ignored":[…]}
//       or {"id":1,"error":"…"}; identity and resource may be left out
//
// ignored are the condition keys of the context that AWS does not know for the
// action: a condition on one of them would never hold.
import { createInterface } from 'node:readline'
import { createValidatedPolicy, validateIdentityPolicy, validateResourcePolicy, validateTrustPolicy } from '@cloud-copilot/iam-policy'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const validate = { identity: validateIdentityPolicy, trust: validateTrustPolicy, resource: validateResourcePolicy }
const documents = new Map()

function keep({ document, kind, policy }) {
  const validated = createValidatedPolicy(policy, validate[kind])
  documents.set(document, validated)
  return { document, errors: validated.errors.map((e) => `${e.path}: ${e.message}`) }
}

function find(name) {
  if (name !== undefined && !documents.has(name)) throw new Error(`no document ${name}`)
  return documents.get(name)
}

async function decide({ id, identity, resource, principal, action, arn, context }) {
  const policy = find(identity)
  const answer = await runSimulation({
    request: { principal, action, resource: { resource: arn, accountId: '000000000000' }, contextVariables: context },
    identityPolicies: policy === undefined ? [] : [{ name: 'lane', policy }],
    resourcePolicy: find(resource),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  }, {})
  if (answer.resultType === 'single') {
    return { id, result: answer.overallResult, ignored: answer.result.ignoredContextKeys ?? [] }
  }
  return { id, error: JSON.stringify(answer.errors ?? `a ${answer.resultType} answer for one resource`) }
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line)
  let answer
  try {
    answer = question.document === undefined ? await decide(question) : keep(question)
  } catch (e) {
    answer = { id: question.id, document: question.document, error: String(e) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
