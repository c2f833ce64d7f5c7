package v1alpha1

// Publisher is one identity that may obtain the lane's credentials. Exactly one
// of its kinds is set.
// +kubebuilder:validation:XValidation:rule="[has(self.gitHubActions), has(self.oidc), has(self.accessKey)].filter(x, x).size() == 1",message="a publisher is exactly one of gitHubActions, oidc and accessKey; split it into several publishers"
type Publisher struct {
	// name tells the lane's publishers apart in messages and documents.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",message="a publisher's name is lower-case ASCII letters, digits and hyphens, and starts and ends with a letter or digit"
	Name string `json:"name,omitempty"`

	// gitHubActions lets a GitHub Actions workflow publish.
	// +optional
	GitHubActions GitHubActionsPublisher `json:"gitHubActions,omitzero"`

	// oidc lets jobs of any other CI with an OIDC issuer publish.
	// +optional
	OIDC OIDCPublisher `json:"oidc,omitzero"`

	// accessKey is the fallback for CI without OIDC: a key pair in a Secret,
	// rotated on schedule.
	// +optional
	AccessKey *AccessKeyPublisher `json:"accessKey,omitempty"`
}

// GitHubActionsPublisher names a repository by its name and by its numeric ids,
// so that a name that somebody else registers later opens nothing.
// +kubebuilder:validation:XValidation:rule="has(self.environment) || has(self.refs)",message="set environment, refs or both; otherwise every branch and pull request of the repository could publish"
type GitHubActionsPublisher struct {
	// repository is owner/name.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=140
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$')",message="repository is owner/name, for example ibm-aiu/torch-spyre, without wildcards"
	Repository string `json:"repository,omitempty"`

	// repositoryID is the repository's numeric id. It stays when the repository
	// is renamed and is never given to another: gh api repos/OWNER/NAME --jq .id
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	RepositoryID int64 `json:"repositoryID,omitempty"`

	// repositoryOwnerID is the numeric id of the organisation or user:
	// gh api repos/OWNER/NAME --jq .owner.id
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	RepositoryOwnerID int64 `json:"repositoryOwnerID,omitempty"`

	// environment is the deployment environment the job runs in.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9 ._-]*$')",message="environment is the plain name of a GitHub environment: letters, digits, spaces, dots, hyphens and underscores, without wildcards"
	Environment string `json:"environment,omitempty"`

	// refs are the branches and tags that may publish, in full
	// (refs/heads/main); a * is allowed at the end only (refs/tags/v*).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=6
	// +kubebuilder:validation:items:MaxLength=200
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^refs/(heads|tags)/[A-Za-z0-9_][A-Za-z0-9._/-]*[*]?$')",message="a ref is written in full, like refs/heads/main or refs/tags/v*, with a * at its end at most and not in place of the whole name"
	Refs []string `json:"refs,omitempty"`

	// workflowRefs are the reusable workflows the job must run through, exactly
	// (owner/repo/.github/workflows/upload.yml@refs/heads/main).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=10
	// +kubebuilder:validation:items:MaxLength=400
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+/[.]github/workflows/[A-Za-z0-9._-]+[.]ya?ml@refs/(heads|tags)/[A-Za-z0-9._/-]+$')",message="a workflowRef is exact, like pytorch/test-infra/.github/workflows/_binary_upload.yml@refs/heads/main (not @main), without wildcards"
	WorkflowRefs []string `json:"workflowRefs,omitempty"`
}

// OIDCPublisher names jobs of any other CI by the claims of their tokens.
type OIDCPublisher struct {
	// issuer is the URL of the token issuer. Release engineering must have
	// registered it in the operator's configuration.
	// +required
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$')",message="issuer is the token issuer's URL as it stands in the iss claim, for example https://gitlab.com, without query or fragment"
	Issuer string `json:"issuer,omitempty"`

	// audience is what the token's aud claim must be.
	// +optional
	// +kubebuilder:default="sts.amazonaws.com"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._~:/@-]+$')",message="audience is one exact value, without wildcards"
	Audience string `json:"audience,omitempty"`

	// subjects are what the sub claim may be; a * is allowed at the end only,
	// behind two parts at least (project_path:group/*): on an issuer that many
	// share, project_path:* would let everybody publish.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=2
	// +kubebuilder:validation:items:MaxLength=400
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9 ._:/@=+-]{3,}$') || self.matches('^[A-Za-z0-9][A-Za-z0-9 ._@=+-]*[:/][A-Za-z0-9 ._@=+-]+[:/][A-Za-z0-9 ._:/@=+-]*[*]$')",message="a subject names the project, for example project_path:group/project:ref_type:branch:ref:main; a * is allowed at its end only, and behind two parts at least (project_path:group/*)"
	Subjects []string `json:"subjects,omitempty"`

	// claims are further claims that the token must carry.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Claims []ClaimRule `json:"claims,omitempty"`
}

// ClaimRule is a claim that must have one of some exact values.
type ClaimRule struct {
	// key is the claim's name, for example project_id. AWS evaluates only those
	// that it lists for the issuer; any other is refused.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-z0-9_.-]*(/[a-z][a-z0-9_-]*)?$') && !(self in ['sub', 'aud', 'iss'])",message="key is the name of a claim like project_id or oidc.circleci.com/project-id; sub, aud and iss have fields of their own"
	Key string `json:"key,omitempty"`

	// values are what the claim may be, exactly.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=200
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[A-Za-z0-9 ._:/@=+-]+$')",message="a claim's value is exact: letters, digits and . _ : / @ = + -, without wildcards"
	Values []string `json:"values,omitempty"`
}

// AccessKeyPublisher is an IAM user that may do nothing but assume the lane's
// role, with its key in the Secret <lane>-access-key beside the lane. Prefer
// gitHubActions or oidc, whose credentials expire by themselves.
// +kubebuilder:validation:XValidation:rule="!has(self.overlapHours) || !has(self.rotationDays) || self.overlapHours < self.rotationDays * 24",message="overlapHours must be shorter than rotationDays (24 hours each); for rotationDays 1 set overlapHours to 12, for example"
type AccessKeyPublisher struct {
	// rotationDays is how old a key may get, in days; then a new one replaces it
	// in the Secret.
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=90
	RotationDays int32 `json:"rotationDays,omitempty"`

	// overlapHours is how long the old key works on after the new one is in the
	// Secret, in hours.
	// +optional
	// +kubebuilder:default=24
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=168
	OverlapHours int32 `json:"overlapHours,omitempty"`
}
