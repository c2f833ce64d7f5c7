package api

// The messages, as users see them.
const (
	saysPlatform      = "platform must be 2 to 31 lower-case ASCII letters and digits and start with a letter, because it becomes a storage prefix and a wheel's local version label"
	saysReserved      = "platform is a name that download.pytorch.org uses itself (nightly, test, release, variant, preview, cpu, xpu, libtorch, platforms, pytorch, cu…, rocm…); choose the vendor's own name"
	saysShadows       = "platform is the name of a project in the root index and would shadow its page; choose the vendor's own name"
	saysRetentionDays = "retentionDays applies to the nightly channel only; remove it, or use keepVersions (any channel) or retainSeries (release)"
	saysRetainSeries  = "retainSeries applies to the release channel only; remove it, or use keepVersions (any channel) or retentionDays (nightly)"
	saysPackages      = "a package is written in its normalised form (PEP 503): lower-case ASCII letters, digits and single hyphens, for example torch-tensorrt"
	saysPublisherName = "a publisher's name is lower-case ASCII letters, digits and hyphens, and starts and ends with a letter or digit"
	saysPublisherKind = "a publisher is exactly one of gitHubActions, oidc and accessKey; split it into several publishers"
	saysAccessKeys    = "a lane may have at most one accessKey publisher; remove the others, or let them publish through OIDC"
	saysOverlap       = "overlapHours must be shorter than rotationDays (24 hours each); for rotationDays 1 set overlapHours to 12, for example"
	saysAnyBranch     = "set environment, refs or both; otherwise every branch and pull request of the repository could publish"
	saysRepository    = "repository is owner/name, for example ibm-aiu/torch-spyre, without wildcards"
	saysEnvironment   = "environment is the plain name of a GitHub environment: letters, digits, spaces, dots, hyphens and underscores, without wildcards"
	saysRef           = "a ref is written in full, like refs/heads/main or refs/tags/v*, with a * at its end at most and not in place of the whole name"
	saysWorkflowRef   = "a workflowRef is exact, like pytorch/test-infra/.github/workflows/_binary_upload.yml@refs/heads/main (not @main), without wildcards"
	saysIssuer        = "issuer is the token issuer's URL as it stands in the iss claim, for example https://gitlab.com, without query or fragment"
	saysAudience      = "audience is one exact value, without wildcards"
	saysSubject       = "a subject names the project, for example project_path:group/project:ref_type:branch:ref:main; a * is allowed at its end only, and behind two parts at least (project_path:group/*)"
	saysClaimKey      = "key is the name of a claim like project_id or oidc.circleci.com/project-id; sub, aud and iss have fields of their own"
	saysClaimValue    = "a claim's value is exact: letters, digits and . _ : / @ = + -, without wildcards"
	saysRelease       = "latestSupportedRelease is a release like 2.9 or 2.9.1, without a leading v"
	saysEmail         = "email must be one address of the form name@example.com"
	saysLogin         = "gitHub is a login like octocat, or a team like pytorch/team, without the @"
	saysIndexURL      = "indexURL must be an https URL of a simple index, without user name, query or fragment, for example https://index.example.com/simple/"
	saysProject       = "project is written in its normalised form (PEP 503): lower-case ASCII letters, digits and single hyphens"
)

// Short forms of nested manifests: %s is where a case differs.
const (
	// actions is a publisher with the fields that every GitHub one needs.
	actions = "publishers: [{name: a, gitHubActions: {repositoryID: 1, repositoryOwnerID: 2, "
	oidc    = "publishers: [{name: a, oidc: {"
)

func platforms(good ...string) (table []goodManifest) {
	for _, name := range good {
		table = append(table, goodManifest{"platform " + name, "platform: " + name})
	}
	return table
}

var goodLanes = append(platforms("spyre", "rbln", "tt", "npu910", "cuda", "cux", "testing", "a234567890123456789012345678901"), []goodManifest{
	{"admitted only", ""},
	{"every channel", "channels: [{name: nightly, retentionDays: 1}, {name: test, keepVersions: 1}, {name: release, retainSeries: 1, keepVersions: 2}]"},
	{"packages", "packages: [torch, libtorch, torch-tensorrt, a, '7z']"},
	{"environment alone", actions + "repository: ibm-aiu/torch_spyre.x, environment: pytorchbot-env}}]"},
	{"refs alone", actions + "repository: a/b, refs: [refs/heads/main, refs/heads/release/*, refs/tags/v*]}}]"},
	{"workflow", actions + "repository: a/b, environment: Prod 1, workflowRefs: ['a/b/.github/workflows/u.yaml@refs/tags/v1']}}]"},
	{"oidc on loopback", oidc + "issuer: 'http://127.0.0.1:8080/realm', subjects: ['project_path:g/p:ref_type:branch:ref:*', 'project_path:group/*', 'org/1a/project/2b/*', repo+x]}}]"},
	{"oidc claims", oidc + "issuer: https://gitlab.com, subjects: [abcd], audience: 'https://a.example', claims: [{key: project_id, values: ['1', a b]}]}}]"},
	{"one access key", "publishers: [{name: a, accessKey: {}}, {name: b, oidc: {issuer: https://gitlab.com, subjects: [abcd]}}]"},
	{"an access key for a day", "publishers: [{name: a, accessKey: {rotationDays: 1, overlapHours: 23}}]"},
	{"suspended", "access: Suspended"},
	{"releases", "latestSupportedRelease: '2.10.1'"},
	{"maintainer", "maintainers: [{name: Änne, email: a@b.example, gitHub: pytorch/release-team}]"},
	{"claim of CircleCI", oidc + "issuer: 'https://oidc.circleci.com/org/1', subjects: [abcd], claims: [{key: oidc.circleci.com/project-id, values: ['1']}]}}]"},
	{"dependency", "dependencies: [{project: sympy, indexURL: 'https://download.pytorch.org/whl/'}]"},
}...)

var badLanes = []badManifest{
	{"upper case", "platform: Spyre", "spec.platform", saysPlatform},
	{"leading digit", "platform: 9tt", "spec.platform", saysPlatform},
	{"hyphen", "platform: ibm-spyre", "spec.platform", saysPlatform},
	{"underscore", "platform: ibm_spyre", "spec.platform", saysPlatform},
	{"dot", "platform: ibm.spyre", "spec.platform", saysPlatform},
	{"slash", "platform: spyre/x", "spec.platform", saysPlatform},
	{"parent folder", "platform: ../x", "spec.platform", saysPlatform},
	{"one letter", "platform: s", "spec.platform", saysPlatform},
	{"Kelvin sign", `platform: "\u212Aunlun"`, "spec.platform", saysPlatform},
	{"long s", `platform: "\u017Fpyre"`, "spec.platform", saysPlatform},
	{"policy variable as platform", "platform: '${aws:username}'", "spec.platform", saysPlatform},
	{"wildcard as platform", "platform: sp*", "spec.platform", saysPlatform},
	{"one-character wildcard", "platform: 'spyr?'", "spec.platform", saysPlatform},
	{"trailing newline", `platform: "spyre\n"`, "spec.platform", saysPlatform},
	{"trailing zero byte", `platform: "spyre\0"`, "spec.platform", saysPlatform},
	{"percent", "platform: sp%2fre", "spec.platform", saysPlatform},

	{"reserved nightly", "platform: nightly", "spec.platform", saysReserved},
	{"reserved test", "platform: test", "spec.platform", saysReserved},
	{"reserved variant", "platform: variant", "spec.platform", saysReserved},
	{"reserved preview", "platform: preview", "spec.platform", saysReserved},
	{"reserved cpu", "platform: cpu", "spec.platform", saysReserved},
	{"reserved xpu", "platform: xpu", "spec.platform", saysReserved},
	{"reserved libtorch", "platform: libtorch", "spec.platform", saysReserved},
	{"reserved platforms", "platform: platforms", "spec.platform", saysReserved},
	{"reserved cu", "platform: cu", "spec.platform", saysReserved},
	{"reserved cu128", "platform: cu128", "spec.platform", saysReserved},
	{"reserved rocm", "platform: rocm", "spec.platform", saysReserved},
	{"reserved rocmx", "platform: rocm72", "spec.platform", saysReserved},
	{"shadows torch", "platform: torch", "spec.platform", saysShadows},
	{"shadows torchvision", "platform: torchvision", "spec.platform", saysShadows},
	{"shadows numpy", "platform: numpy", "spec.platform", saysShadows},

	{"days for releases", "channels: [{name: release, retentionDays: 9}]", "spec.channels[0]", saysRetentionDays},
	{"days for candidates", "channels: [{name: test, retentionDays: 9}]", "spec.channels[0]", saysRetentionDays},
	{"series for nightlies", "channels: [{name: nightly, retainSeries: 9}]", "spec.channels[0]", saysRetainSeries},
	{"series for candidates", "channels: [{name: nightly}, {name: test, retainSeries: 9}]", "spec.channels[1]", saysRetainSeries},

	{"package with underscore", "packages: [torch_x]", "spec.packages[0]", saysPackages},
	{"package in capitals", "packages: [torch, Torch]", "spec.packages[1]", saysPackages},
	{"package with two hyphens", "packages: [a--b]", "spec.packages[0]", saysPackages},
	{"package ends in hyphen", "packages: [torch-]", "spec.packages[0]", saysPackages},
	{"package with wildcard", "packages: ['torch*']", "spec.packages[0]", saysPackages},
	{"package with Kelvin sign", `packages: ["\u212Aeras"]`, "spec.packages[0]", saysPackages},
	{"package with slash", "packages: [a/b]", "spec.packages[0]", saysPackages},

	{"publisher in capitals", "publishers: [{name: CI, accessKey: {}}]", "spec.publishers[0].name", saysPublisherName},
	{"publisher ends in hyphen", "publishers: [{name: ci-, accessKey: {}}]", "spec.publishers[0].name", saysPublisherName},
	{"publisher of no kind", "publishers: [{name: a}]", "spec.publishers[0]", saysPublisherKind},
	{"publisher of two kinds", "publishers: [{name: a, accessKey: {}, oidc: {issuer: https://gitlab.com, subjects: [abcd]}}]", "spec.publishers[0]", saysPublisherKind},
	{"two access keys", "publishers: [{name: a, accessKey: {}}, {name: b, accessKey: {}}]", "spec", saysAccessKeys},
	{"overlap as long as the rotation", "publishers: [{name: a, accessKey: {rotationDays: 2, overlapHours: 48}}]", "spec.publishers[0].accessKey", saysOverlap},
	{"default overlap of a daily rotation", "publishers: [{name: a, accessKey: {rotationDays: 1}}]", "spec.publishers[0].accessKey", saysOverlap},

	{"any branch", actions + "repository: a/b}}]", "spec.publishers[0].gitHubActions", saysAnyBranch},
	{"repository without owner", actions + "repository: torch-spyre, environment: e}}]", "spec.publishers[0].gitHubActions.repository", saysRepository},
	{"repository as URL", actions + "repository: 'https://github.com/a/b', environment: e}}]", "spec.publishers[0].gitHubActions.repository", saysRepository},
	{"repository wildcard", actions + "repository: 'ibm-aiu/*', environment: e}}]", "spec.publishers[0].gitHubActions.repository", saysRepository},
	{"owner wildcard", actions + "repository: '*/torch', environment: e}}]", "spec.publishers[0].gitHubActions.repository", saysRepository},
	{"repository one-character wildcard", actions + "repository: 'ibm/torc?', environment: e}}]", "spec.publishers[0].gitHubActions.repository", saysRepository},
	{"repository with policy variable", actions + "repository: 'a/${aws:username}', environment: e}}]", "spec.publishers[0].gitHubActions.repository", saysRepository},
	{"repository with subject parts", actions + "repository: 'a/b:ref', environment: e}}]", "spec.publishers[0].gitHubActions.repository", saysRepository},
	{"environment wildcard", actions + "repository: a/b, environment: '*'}}]", "spec.publishers[0].gitHubActions.environment", saysEnvironment},
	{"environment with colon", actions + "repository: a/b, environment: 'a:ref:refs/heads/main'}}]", "spec.publishers[0].gitHubActions.environment", saysEnvironment},
	{"environment with policy variable", actions + "repository: a/b, environment: '${aws:x}'}}]", "spec.publishers[0].gitHubActions.environment", saysEnvironment},
	{"short ref", actions + "repository: a/b, refs: [main/x]}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"ref shorter than any", actions + "repository: a/b, refs: [main]}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"any ref", actions + "repository: a/b, refs: ['*']}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"any branch by ref", actions + "repository: a/b, refs: ['refs/heads/*']}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"any branch below a slash", actions + "repository: a/b, refs: ['refs/heads//*']}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"any tag by ref", actions + "repository: a/b, refs: [refs/heads/main, 'refs/tags/*']}}]", "spec.publishers[0].gitHubActions.refs[1]", saysRef},
	{"any ref by ref", actions + "repository: a/b, refs: ['refs/*']}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"ref wildcard in the middle", actions + "repository: a/b, refs: ['refs/heads/*/main']}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"two ref wildcards", actions + "repository: a/b, refs: ['refs/heads/v**']}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"ref one-character wildcard", actions + "repository: a/b, refs: ['refs/heads/mai?']}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"pull request ref", actions + "repository: a/b, refs: [refs/pull/1/merge]}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"ref with policy variable", actions + "repository: a/b, refs: ['refs/heads/${aws:x}']}}]", "spec.publishers[0].gitHubActions.refs[0]", saysRef},
	{"workflow at a short ref", actions + "repository: a/b, environment: e, workflowRefs: ['a/b/.github/workflows/u.yml@main']}}]", "spec.publishers[0].gitHubActions.workflowRefs[0]", saysWorkflowRef},
	{"workflow without ref", actions + "repository: a/b, environment: e, workflowRefs: ['a/b/.github/workflows/u.yml']}}]", "spec.publishers[0].gitHubActions.workflowRefs[0]", saysWorkflowRef},
	{"workflow at any ref", actions + "repository: a/b, environment: e, workflowRefs: ['a/b/.github/workflows/u.yml@*']}}]", "spec.publishers[0].gitHubActions.workflowRefs[0]", saysWorkflowRef},
	{"any workflow", actions + "repository: a/b, environment: e, workflowRefs: ['a/b/.github/workflows/*.yml@refs/heads/main']}}]", "spec.publishers[0].gitHubActions.workflowRefs[0]", saysWorkflowRef},
	{"workflow ref wildcard at the end", actions + "repository: a/b, environment: e, workflowRefs: ['a/b/.github/workflows/u.yml@refs/heads/ma*']}}]", "spec.publishers[0].gitHubActions.workflowRefs[0]", saysWorkflowRef},

	{"issuer without scheme", oidc + "issuer: gitlab.com, subjects: [abcd]}}]", "spec.publishers[0].oidc.issuer", saysIssuer},
	{"issuer with query", oidc + "issuer: 'https://gitlab.com/?a=b', subjects: [abcd]}}]", "spec.publishers[0].oidc.issuer", saysIssuer},
	{"issuer with user", oidc + "issuer: 'https://me@gitlab.com', subjects: [abcd]}}]", "spec.publishers[0].oidc.issuer", saysIssuer},
	{"issuer wildcard", oidc + "issuer: 'https://*.example.com', subjects: [abcd]}}]", "spec.publishers[0].oidc.issuer", saysIssuer},
	{"audience wildcard", oidc + "issuer: https://gitlab.com, subjects: [abcd], audience: '*'}}]", "spec.publishers[0].oidc.audience", saysAudience},
	{"audience with policy variable", oidc + "issuer: https://gitlab.com, subjects: [abcd], audience: '${aws:x}'}}]", "spec.publishers[0].oidc.audience", saysAudience},
	{"any subject", oidc + "issuer: https://gitlab.com, subjects: ['*']}}]", "spec.publishers[0].oidc.subjects[0]", saysSubject},
	{"almost any subject", oidc + "issuer: https://gitlab.com, subjects: ['pro*']}}]", "spec.publishers[0].oidc.subjects[0]", saysSubject},
	{"any project of the issuer", oidc + "issuer: https://gitlab.com, subjects: ['project_path:*']}}]", "spec.publishers[0].oidc.subjects[0]", saysSubject},
	{"any group with a letter", oidc + "issuer: https://gitlab.com, subjects: ['project_path:g*']}}]", "spec.publishers[0].oidc.subjects[0]", saysSubject},
	{"subject of empty parts", oidc + "issuer: https://gitlab.com, subjects: ['project_path:/*']}}]", "spec.publishers[0].oidc.subjects[0]", saysSubject},
	{"subject wildcard in the middle", oidc + "issuer: https://gitlab.com, subjects: ['project_path:*/p:ref:main']}}]", "spec.publishers[0].oidc.subjects[0]", saysSubject},
	{"subject one-character wildcard", oidc + "issuer: https://gitlab.com, subjects: ['project_path:a/p?']}}]", "spec.publishers[0].oidc.subjects[0]", saysSubject},
	{"subject with policy variable", oidc + "issuer: https://gitlab.com, subjects: ['proj${aws:x}']}}]", "spec.publishers[0].oidc.subjects[0]", saysSubject},
	{"claim in capitals", oidc + "issuer: https://gitlab.com, subjects: [abcd], claims: [{key: Project, values: [a]}]}}]", "spec.publishers[0].oidc.claims[0].key", saysClaimKey},
	{"claim with a policy variable", oidc + "issuer: https://gitlab.com, subjects: [abcd], claims: [{key: 'a${aws:x}', values: [a]}]}}]", "spec.publishers[0].oidc.claims[0].key", saysClaimKey},
	{"claim sub", oidc + "issuer: https://gitlab.com, subjects: [abcd], claims: [{key: sub, values: [a]}]}}]", "spec.publishers[0].oidc.claims[0].key", saysClaimKey},
	{"claim with colon", oidc + "issuer: https://gitlab.com, subjects: [abcd], claims: [{key: 'gitlab.com:sub', values: [a]}]}}]", "spec.publishers[0].oidc.claims[0].key", saysClaimKey},
	{"claim value wildcard", oidc + "issuer: https://gitlab.com, subjects: [abcd], claims: [{key: project_id, values: ['1*']}]}}]", "spec.publishers[0].oidc.claims[0].values[0]", saysClaimValue},
	{"claim value with policy variable", oidc + "issuer: https://gitlab.com, subjects: [abcd], claims: [{key: project_id, values: ['${aws:x}']}]}}]", "spec.publishers[0].oidc.claims[0].values[0]", saysClaimValue},

	{"release with v", "latestSupportedRelease: v2.9", "spec.latestSupportedRelease", saysRelease},
	{"major release alone", "latestSupportedRelease: '2.x'", "spec.latestSupportedRelease", saysRelease},
	{"two addresses", "maintainers: [{name: a, email: 'a@b.example, c@d.example'}]", "spec.maintainers[0].email", saysEmail},
	{"address with name", "maintainers: [{name: a, email: 'A <a@b.example>'}]", "spec.maintainers[0].email", saysEmail},
	{"address of two lines", `maintainers: [{name: a, email: "a\nb@c.example"}]`, "spec.maintainers[0].email", saysEmail},
	{"login with @", "maintainers: [{name: a, gitHub: '@octocat'}]", "spec.maintainers[0].gitHub", saysLogin},
	{"http index", "dependencies: [{project: sympy, indexURL: 'http://index.example.com/simple/'}]", "spec.dependencies[0].indexURL", saysIndexURL},
	{"index with password", "dependencies: [{project: sympy, indexURL: 'https://u:p@index.example.com/simple/'}]", "spec.dependencies[0].indexURL", saysIndexURL},
	{"index with query", "dependencies: [{project: sympy, indexURL: 'https://index.example.com/simple/?x'}]", "spec.dependencies[0].indexURL", saysIndexURL},
	{"dependency that is a package", "dependencies: [{project: torch, indexURL: 'https://index.example.com/simple/'}]", "spec", "a project is either one of the lane's packages or published by another index; remove it from packages or from dependencies"},
	{"project not normalised", "dependencies: [{project: Typing_Extensions, indexURL: 'https://index.example.com/simple/'}]", "spec.dependencies[0].project", saysProject},

	{"no platform", "platform: null", "spec.platform", "Required value"},
	{"unknown channel", "channels: [{name: stable}]", "spec.channels[0].name", `supported values: "nightly", "test", "release"`},
	{"channel twice", "channels: [{name: test}, {name: test}]", "spec.channels[1]", `Duplicate value: {"name":"test"}`},
	{"unknown access", "access: Revoked", "spec.access", `supported values: "Active", "Suspended"`},
}
