package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ChannelName is one of the release channels of download.pytorch.org.
// +kubebuilder:validation:Enum=nightly;test;release
type ChannelName string

// The channels, from the most volatile to the most stable.
const (
	// ChannelNightly is published below whl/nightly/<platform>/.
	ChannelNightly ChannelName = "nightly"
	// ChannelTest holds release candidates, below whl/test/<platform>/.
	ChannelTest ChannelName = "test"
	// ChannelRelease is published below whl/<platform>/.
	ChannelRelease ChannelName = "release"
)

// Access says whether a lane's credentials work.
// +kubebuilder:validation:Enum=Active;Suspended
type Access string

// What spec.access may be.
const (
	// AccessActive lets the lane's publishers obtain credentials and publish.
	AccessActive Access = "Active"
	// AccessSuspended denies everything to every credential of the lane at
	// once, to sessions that are already live too. It is reversible.
	AccessSuspended Access = "Suspended"
)

// Adoption says whether a lane may take over objects it did not publish, and a
// role it did not make.
// +kubebuilder:validation:Enum=Never;Existing
type Adoption string

// What spec.adopt may be.
const (
	// AdoptNever refuses a prefix that already holds objects, and leaves an IAM
	// role of the lane's name alone.
	AdoptNever Adoption = "Never"
	// AdoptExisting takes over the objects found below the lane's prefixes and
	// lists those that pass judgement. It takes over the IAM role of the lane's name
	// too, as after the loss of a cluster: what the role allowed is replaced, and
	// its sessions end.
	AdoptExisting Adoption = "Existing"
)

// ProvenancePolicy says whether a file needs an attestation to be listed.
// +kubebuilder:validation:Enum=Optional;Required
type ProvenancePolicy string

// What spec.provenance may be.
const (
	// ProvenanceOptional links attestations where there are any.
	ProvenanceOptional ProvenancePolicy = "Optional"
	// ProvenanceRequired lists nothing without a verified attestation (PEP 740).
	ProvenanceRequired ProvenancePolicy = "Required"
)

// DeletionPolicy says what deleting the lane does to the stored bytes.
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

// What spec.deletionPolicy may be.
const (
	// DeletionRetain keeps the lane's objects in the bucket, unlisted.
	DeletionRetain DeletionPolicy = "Retain"
	// DeletionDelete removes the lane's objects, except what a Yank keeps as
	// evidence.
	DeletionDelete DeletionPolicy = "Delete"
)

// LibtorchPackage is the entry of spec.packages that lets a lane publish C++
// archives below libtorch/.
const LibtorchPackage = "libtorch"

// PlatformLaneSpec is what release engineering admits a platform to.
// +kubebuilder:validation:XValidation:rule="has(self.publishers) == false || self.publishers.filter(p, has(p.accessKey)).size() <= 1",message="a lane may have at most one accessKey publisher; remove the others, or let them publish through OIDC"
// +kubebuilder:validation:XValidation:rule="!has(self.dependencies) || !has(self.packages) || self.dependencies.all(d, !(d.project in self.packages))",message="a project is either one of the lane's packages or published by another index; remove it from packages or from dependencies"
type PlatformLaneSpec struct {
	// platform is the lane's storage prefix (whl/<platform>/) and the local
	// version label of its wheels (torch-2.9.0+<platform>-…). It cannot be
	// changed: create another lane instead.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=31
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-z0-9]{1,30}$')",message="platform must be 2 to 31 lower-case ASCII letters and digits and start with a letter, because it becomes a storage prefix and a wheel's local version label"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="platform cannot be changed, because wheels carry it in their names; create another lane for another platform"
	// +kubebuilder:validation:XValidation:rule="!(self in ['nightly', 'test', 'release', 'variant', 'preview', 'cpu', 'xpu', 'libtorch', 'platforms', 'pytorch']) && !self.matches('^(cu([0-9].*)?|rocm.*)$')",message="platform is a name that download.pytorch.org uses itself (nightly, test, release, variant, preview, cpu, xpu, libtorch, platforms, pytorch, cu…, rocm…); choose the vendor's own name"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('torch')",message="platform is the name of a project in the root index and would shadow its page; choose the vendor's own name"
	// +kubebuilder:validation:XValidation:rule="!(self in ['aiohappyeyeballs', 'aiohttp', 'aiosignal', 'anyio', 'arpeggio', 'astor', 'attrs', 'blake3', 'blobfile', 'cachetools', 'cbor2', 'certifi', 'cffi', 'click', 'cloudpickle', 'cmake', 'colorama', 'contourpy', 'cycler', 'datasets', 'depyf', 'dill', 'diskcache', 'distro', 'dnspython', 'einops', 'executorch', 'fastapi', 'fastrlock', 'filelock', 'fonttools', 'frozendict', 'frozenlist', 'fsspec', 'gguf', 'h11', 'httpcore', 'httptools', 'httpx'])",message="platform is the name of a project in the root index and would shadow its page; choose the vendor's own name"
	// +kubebuilder:validation:XValidation:rule="!(self in ['idna', 'interegular', 'iopath', 'jinja2', 'jiter', 'jsonschema', 'kiwisolver', 'lark', 'llguidance', 'llvmlite', 'lxml', 'markupsafe', 'matplotlib', 'mdurl', 'mkl', 'mpmath', 'msgpack', 'msgspec', 'multidict', 'multiprocess', 'nestedtensor', 'networkx', 'ninja', 'numba', 'numpy', 'omegaconf', 'oneccl', 'openai'])",message="platform is the name of a project in the root index and would shadow its page; choose the vendor's own name"
	// +kubebuilder:validation:XValidation:rule="!(self in ['packaging', 'pandas', 'pillow', 'portalocker', 'protobuf', 'psutil', 'pyarrow', 'pybase64', 'pycountry', 'pycparser', 'pycryptodomex', 'pydantic', 'pydot', 'pygments', 'pynvml', 'pyparsing', 'pytz', 'pyyaml', 'pyzmq', 'ray', 'referencing', 'regex', 'requests', 'rich', 'rignore', 'safetensors', 'scipy', 'sentencepiece', 'setproctitle', 'setuptools', 'shellingham', 'six', 'sniffio', 'soundfile', 'starlette', 'sympy', 'tbb', 'tcmlib', 'textx', 'tiktoken', 'tokenizers', 'tqdm', 'transformers', 'triton', 'typer', 'tzdata', 'umf', 'urllib3', 'uvicorn', 'uvloop', 'vllm', 'watchfiles', 'websockets', 'xformers', 'xgrammar', 'xxhash', 'yarl', 'zipp'])",message="platform is the name of a project in the root index and would shadow its page; choose the vendor's own name"
	Platform string `json:"platform,omitempty"`

	// channels are the release channels the lane publishes to. A lane without
	// channels is admitted only: it has no credentials and publishes nothing.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Channels []Channel `json:"channels,omitempty"`

	// packages are the distributions the lane may publish, by their normalised
	// names (PEP 503). The entry libtorch stands for the C++ archives below
	// libtorch/.
	// +optional
	// +listType=set
	// +kubebuilder:default={"torch"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9]|-[a-z0-9])*$')",message="a package is written in its normalised form (PEP 503): lower-case ASCII letters, digits and single hyphens, for example torch-tensorrt"
	Packages []string `json:"packages,omitempty"`

	// publishers are the identities that may obtain the lane's credentials.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Publishers []Publisher `json:"publishers,omitempty"`

	// access switches the lane's credentials on and off. Suspended takes effect
	// at once, on live sessions too, and can be taken back.
	// +optional
	// +kubebuilder:default=Active
	Access Access `json:"access,omitempty"`

	// latestSupportedRelease is the newest PyTorch release that the platform
	// supports, as major.minor or major.minor.patch.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,4}[.][0-9]{1,4}([.][0-9]{1,4})?$')",message="latestSupportedRelease is a release like 2.9 or 2.9.1, without a leading v"
	LatestSupportedRelease string `json:"latestSupportedRelease,omitempty"`

	// maintainers are the people to reach about this platform.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Maintainers []Maintainer `json:"maintainers,omitempty"`

	// adopt says whether prefixes that already hold objects, and an IAM role of
	// the lane's name, may be taken over.
	// +optional
	// +kubebuilder:default=Never
	Adopt Adoption `json:"adopt,omitempty"`

	// dependencies are projects hosted elsewhere that the lane's index lists
	// too, with the links of their upstream index.
	// +optional
	// +listType=map
	// +listMapKey=project
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Dependencies []Dependency `json:"dependencies,omitempty"`

	// provenance says whether files need a verified attestation to be listed.
	// +optional
	// +kubebuilder:default=Optional
	Provenance ProvenancePolicy `json:"provenance,omitempty"`

	// deletionPolicy says what deleting the lane does to the stored bytes. The
	// role, the credentials and the index entries always go.
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// Channel is one release channel of a lane, with what it keeps: a version goes
// when neither retentionDays nor keepVersions nor retainSeries keeps it. Whatever
// they say, the newest version of a package stays, the newest final one too, and
// so does every file of a Yank. What goes is shown in status for a day or longer
// (the operator's limits.retentionPreviewHours) before it leaves the index.
// +kubebuilder:validation:XValidation:rule="!has(self.retentionDays) || self.name == 'nightly'",message="retentionDays applies to the nightly channel only; remove it, or use keepVersions (any channel) or retainSeries (release)"
// +kubebuilder:validation:XValidation:rule="!has(self.retainSeries) || self.name == 'release'",message="retainSeries applies to the release channel only; remove it, or use keepVersions (any channel) or retentionDays (nightly)"
type Channel struct {
	// name of the channel: nightly, test or release.
	// +required
	Name ChannelName `json:"name,omitempty"`

	// retentionDays is how long a nightly stays after the upload of its newest
	// file, in days. Defaults to 90 for the nightly channel.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	RetentionDays int32 `json:"retentionDays,omitempty"`

	// keepVersions is how many of the newest versions of each package stay,
	// however old.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	KeepVersions int32 `json:"keepVersions,omitempty"`

	// retainSeries is how many of the newest release series (2.9, 2.10, …) of
	// each package stay. A series counts once it has a final release. Defaults to
	// 3 for the release channel.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	RetainSeries int32 `json:"retainSeries,omitempty"`
}

// Maintainer is a person or team to reach about a platform.
type Maintainer struct {
	// name of the person or team.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name,omitempty"`

	// email is where to write to.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^@\\\\s,;<>\\\\p{Cc}]+@[A-Za-z0-9.-]+$')",message="email must be one address of the form name@example.com"
	Email string `json:"email,omitempty"`

	// gitHub is the account's login, without the @.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9/_.-]*$')",message="gitHub is a login like octocat, or a team like pytorch/team, without the @"
	GitHub string `json:"gitHub,omitempty"`
}

// Dependency is a project hosted elsewhere that the lane also lists.
type Dependency struct {
	// project is the normalised name (PEP 503).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9]|-[a-z0-9])*$')",message="project is written in its normalised form (PEP 503): lower-case ASCII letters, digits and single hyphens"
	Project string `json:"project,omitempty"`

	// indexURL is the simple index (PEP 503) that holds the project. It must be
	// on the allow-list of the operator's configuration.
	// +required
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$')",message="indexURL must be an https URL of a simple index, without user name, query or fragment, for example https://index.example.com/simple/"
	IndexURL string `json:"indexURL,omitempty"`
}

// RoleStatus is the IAM role that carries the lane's permissions.
type RoleStatus struct {
	// name of the role in IAM, and of the Role resource beside the lane.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name,omitempty"`

	// arn is what the vendor's workflow assumes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	ARN string `json:"arn,omitempty"`
}

// AccessKeyStatus is the lane's IAM user and the keys it has: their ids, which are
// no secret, and when they change.
type AccessKeyStatus struct {
	// userName is the IAM user's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UserName string `json:"userName,omitempty"`

	// secretName is the Secret beside the lane that holds the key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=300
	SecretName string `json:"secretName,omitempty"`

	// keyID is the id of the key that the Secret holds.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	KeyID string `json:"keyID,omitempty"`

	// createdAt is when that key was made.
	// +optional
	CreatedAt *metav1.Time `json:"createdAt,omitempty"`

	// rotatesAt is when a new key will replace it in the Secret.
	// +optional
	RotatesAt *metav1.Time `json:"rotatesAt,omitempty"`

	// previousKeyID is the id of the key that it replaced, while that one works
	// on.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	PreviousKeyID string `json:"previousKeyID,omitempty"`

	// previousExpiresAt is when the replaced key will be deleted.
	// +optional
	PreviousExpiresAt *metav1.Time `json:"previousExpiresAt,omitempty"`
}

// AccessChange is the last change of spec.access.
type AccessChange struct {
	// access is what spec.access was changed to.
	// +required
	Access Access `json:"access,omitempty"`

	// by is the user who changed it, as the API server knows them; empty where
	// the admission policies that record it are not installed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	By string `json:"by,omitempty"`

	// reason is what they gave as the reason; empty if they gave none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Reason string `json:"reason,omitempty"`

	// time is when the operator saw the change.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
}

// RetentionStatus is what a channel no longer keeps and still lists.
// +kubebuilder:validation:MinProperties=1
type RetentionStatus struct {
	// dueFiles is how many files these are.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DueFiles *int32 `json:"dueFiles,omitempty"`

	// dueBytes is how large they are together, in bytes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DueBytes *int64 `json:"dueBytes,omitempty"`

	// dueSince is since when the first of them is due.
	// +optional
	DueSince *metav1.Time `json:"dueSince,omitempty"`

	// removesAt is when the first of them leaves the index; its bytes follow an
	// hour later. To keep files, change what the channel keeps before that.
	// +optional
	RemovesAt *metav1.Time `json:"removesAt,omitempty"`

	// keys are the first of them, by key.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Keys []string `json:"keys,omitempty"`
}

// ChannelStatus is what one channel publishes now.
type ChannelStatus struct {
	// name of the channel.
	// +required
	Name ChannelName `json:"name,omitempty"`

	// prefix is where the channel's wheels are stored.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Prefix string `json:"prefix,omitempty"`

	// indexURL is the simple index of the channel.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	IndexURL string `json:"indexURL,omitempty"`

	// installCommand is what a user types.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	InstallCommand string `json:"installCommand,omitempty"`

	// projects is the number of projects that have a page.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Projects *int32 `json:"projects,omitempty"`

	// files is the number of files listed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Files *int32 `json:"files,omitempty"`

	// lastUpload is when the newest listed file was uploaded.
	// +optional
	LastUpload *metav1.Time `json:"lastUpload,omitempty"`

	// retention is what the channel no longer keeps and is about to remove;
	// absent if there is nothing.
	// +optional
	Retention RetentionStatus `json:"retention,omitzero"`
}

// RejectedFile is an uploaded file that the index leaves out.
type RejectedFile struct {
	// key of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Key string `json:"key,omitempty"`

	// reason is one word for machines.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message says what is wrong and what to do about it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// DependencyStatus is what the lane lists of a project that another index
// publishes.
type DependencyStatus struct {
	// project is the normalised name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Project string `json:"project,omitempty"`

	// files is the number of files that each channel lists.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Files *int32 `json:"files,omitempty"`

	// lastRefreshed is when the lane last took over what the project's index says:
	// it moves when the links change, not whenever the index is asked.
	// +optional
	LastRefreshed *metav1.Time `json:"lastRefreshed,omitempty"`

	// message says what is in the way, and what to do about it. There is none
	// while everything is as it should be.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// MaxRejectedFiles bounds status.rejectedFiles.
const MaxRejectedFiles = 32

// PlatformLaneStatus is what the operator observed.
// +kubebuilder:validation:MinProperties=1
type PlatformLaneStatus struct {
	// conditions say what works, what does not, and what to do about it.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks
	// of; -1 before the operator has seen the lane.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// role is the IAM role that carries the lane's permissions.
	// +optional
	Role RoleStatus `json:"role,omitzero"`

	// publishesTo names the channels, for people.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	PublishesTo string `json:"publishesTo,omitempty"`

	// accessKey is the key of the lane's accessKey publisher; absent without one.
	// +optional
	AccessKey AccessKeyStatus `json:"accessKey,omitzero"`

	// access is what the lane's credentials were last told to be.
	// +optional
	Access Access `json:"access,omitempty"`

	// accessChange is who changed spec.access last, and why; absent if nobody
	// ever did.
	// +optional
	AccessChange AccessChange `json:"accessChange,omitzero"`

	// sessionsNotBefore is when access was last resumed, or an existing role taken
	// over: sessions that were issued earlier stay dead.
	// +optional
	SessionsNotBefore *metav1.Time `json:"sessionsNotBefore,omitempty"`

	// channels tell what each channel publishes now.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=3
	Channels []ChannelStatus `json:"channels,omitempty"`

	// rejectedFiles are uploaded files that the index leaves out, with the
	// reason for each. It is cut to 32; rejectedFilesCount is not.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=32
	RejectedFiles []RejectedFile `json:"rejectedFiles,omitempty"`

	// rejectedFilesCount is how many uploaded files the index leaves out.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RejectedFilesCount *int32 `json:"rejectedFilesCount,omitempty"`

	// dependencies are what the lane lists of other indexes.
	// +optional
	// +listType=map
	// +listMapKey=project
	// +kubebuilder:validation:MaxItems=64
	Dependencies []DependencyStatus `json:"dependencies,omitempty"`

	// filesCount is how many files all channels list together.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FilesCount *int32 `json:"filesCount,omitempty"`
}

// PlatformLane gives one hardware vendor an isolated lane on
// download.pytorch.org: credentials that reach only its own prefixes and names,
// and exact package index pages there.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=platformlanes,shortName=lane;lanes,categories=distribution
// +kubebuilder:printcolumn:name="Platform",type=string,JSONPath=`.spec.platform`
// +kubebuilder:printcolumn:name="Channels",type=string,JSONPath=`.status.publishesTo`
// +kubebuilder:printcolumn:name="Access",type=string,JSONPath=`.spec.access`
// +kubebuilder:printcolumn:name="Files",type=integer,JSONPath=`.status.filesCount`
// +kubebuilder:printcolumn:name="Rejected",type=integer,JSONPath=`.status.rejectedFilesCount`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Role",type=string,priority=1,JSONPath=`.status.role.arn`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type PlatformLane struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what release engineering admits the platform to.
	// +required
	Spec PlatformLaneSpec `json:"spec,omitzero"`

	// status is what the operator observed.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status PlatformLaneStatus `json:"status,omitzero"`
}

// PlatformLaneList is a list of lanes.
// +kubebuilder:object:root=true
type PlatformLaneList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the lanes.
	// +required
	Items []PlatformLane `json:"items"`
}
