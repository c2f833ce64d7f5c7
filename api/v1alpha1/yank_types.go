package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// YankMode says how far an artifact is taken back. Modes are ordered and may
// only be raised.
// +kubebuilder:validation:Enum=Flag;IndexRemoval;Quarantine;HardDelete
type YankMode string

// The modes, from the mildest to the strongest.
const (
	// YankFlag marks the file as yanked (PEP 592): installers pass it over
	// unless it is pinned exactly.
	YankFlag YankMode = "Flag"
	// YankIndexRemoval takes the file off the index; direct URLs still work.
	YankIndexRemoval YankMode = "IndexRemoval"
	// YankQuarantine takes the file off the index and out of reach, and keeps
	// its bytes for forensics.
	YankQuarantine YankMode = "Quarantine"
	// YankHardDelete takes the file off the index and destroys every version of
	// its bytes. It cannot be undone.
	YankHardDelete YankMode = "HardDelete"
)

// Rank orders modes: 1 for Flag to 4 for HardDelete; 0 for anything else.
func (m YankMode) Rank() int {
	switch m {
	case YankFlag:
		return 1
	case YankIndexRemoval:
		return 2
	case YankQuarantine:
		return 3
	case YankHardDelete:
		return 4
	default:
		return 0
	}
}

// BlocksAccess is true for the modes that put the bytes out of reach.
func (m YankMode) BlocksAccess() bool { return m.Rank() >= YankQuarantine.Rank() }

// Execution says whether a Yank acts or only plans.
// +kubebuilder:validation:Enum=PlanOnly;Execute
type Execution string

// What spec.execution may be.
const (
	// ExecutionPlanOnly resolves the selector, reports what would go, and
	// touches nothing.
	ExecutionPlanOnly Execution = "PlanOnly"
	// ExecutionExecute carries the plan out.
	ExecutionExecute Execution = "Execute"
)

// OnDelete says what deleting the Yank resource does to the artifacts.
// +kubebuilder:validation:Enum=KeepYanked;Restore
type OnDelete string

// What spec.onDelete may be.
const (
	// OnDeleteKeepYanked leaves everything as it is: removing a manifest never
	// re-lists anything.
	OnDeleteKeepYanked OnDelete = "KeepYanked"
	// OnDeleteRestore takes the Yank back (not possible after HardDelete).
	OnDeleteRestore OnDelete = "Restore"
)

// LaneReference names a lane in the Yank's own namespace.
type LaneReference struct {
	// name of the PlatformLane.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// YankSelector selects files. What is set must hold together (AND); within a
// list one entry is enough (OR).
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.package) || has(self.sha256)",message="set package, sha256 or both; a selector without them could take back the whole lane"
type YankSelector struct {
	// package is the project, by its normalised name (PEP 503), or libtorch.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9]|-[a-z0-9])*$')",message="package is written in its normalised form (PEP 503): lower-case ASCII letters, digits and single hyphens"
	Package string `json:"package,omitempty"`

	// versions is a set of version specifiers (PEP 440), for example
	// ==2.9.0+spyre or >=2.9,<2.9.2. Left out, it selects all versions.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^ *(===|==|~=|!=|<=|>=|<|>) *[A-Za-z0-9.+_!*-]+ *(, *(===|==|~=|!=|<=|>=|<|>) *[A-Za-z0-9.+_!*-]+ *)*$')",message="versions is a PEP 440 specifier set like ==2.9.0+spyre or >=2.9,<2.9.2; a bare version needs == in front"
	Versions string `json:"versions,omitempty"`

	// channels to look in. Left out, all of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Channels []ChannelName `json:"channels,omitempty"`

	// files are shell patterns (* and ?) for file names, without folders.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[A-Za-z0-9._+!*?-]+$')",message="a file pattern is a file name with * and ? as wildcards, without folders, for example torch-2.9.0+spyre-*.whl"
	Files []string `json:"files,omitempty"`

	// sha256 are the hashes of files, as 64 lower-case hexadecimal digits.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=64
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[0-9a-f]{64}$')",message="a sha256 is 64 lower-case hexadecimal digits, as sha256sum prints it"
	SHA256 []string `json:"sha256,omitempty"`
}

// Advisory is the public notice that a Yank belongs to.
type Advisory struct {
	// id of the advisory, for example CVE-2026-12345 or PYSEC-2026-7.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9:._-]*$')",message="id is an advisory's identifier like CVE-2026-12345 or GHSA-xxxx-xxxx-xxxx"
	ID string `json:"id,omitempty"`

	// url is where the advisory can be read.
	// +optional
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~:/?#@!$&()*+,;=%-]*)?$')",message="url must be an https URL, for example https://example.com/advisories/CVE-2026-12345"
	URL string `json:"url,omitempty"`
}

// YankSpec is what to take back, how far, and why. Only mode (upwards) and
// execution (PlanOnly to Execute) can be changed later.
// +kubebuilder:validation:XValidation:rule="self.laneRef == oldSelf.laneRef",message="laneRef cannot be changed; create another Yank"
// +kubebuilder:validation:XValidation:rule="self.selector == oldSelf.selector",message="selector cannot be changed; create another Yank"
// +kubebuilder:validation:XValidation:rule="self.reason == oldSelf.reason",message="reason cannot be changed: it stands in the public record; create another Yank"
// +kubebuilder:validation:XValidation:rule="has(self.advisory) == has(oldSelf.advisory) && (!has(self.advisory) || self.advisory == oldSelf.advisory)",message="advisory cannot be changed: it stands in the public record; create another Yank"
// +kubebuilder:validation:XValidation:rule="has(self.onBehalfOf) == has(oldSelf.onBehalfOf) && (!has(self.onBehalfOf) || self.onBehalfOf == oldSelf.onBehalfOf)",message="onBehalfOf cannot be changed: it stands in the record; create another Yank"
// +kubebuilder:validation:XValidation:rule="self.onDelete == oldSelf.onDelete",message="onDelete cannot be changed; create another Yank"
// +kubebuilder:validation:XValidation:rule="{'Flag': 1, 'IndexRemoval': 2, 'Quarantine': 3, 'HardDelete': 4}[self.mode] >= {'Flag': 1, 'IndexRemoval': 2, 'Quarantine': 3, 'HardDelete': 4}[oldSelf.mode]",message="mode may only be raised (Flag < IndexRemoval < Quarantine < HardDelete); to take a Yank back, create it with onDelete: Restore and delete it"
// +kubebuilder:validation:XValidation:rule="self.execution == oldSelf.execution || self.execution == 'Execute'",message="execution may only change from PlanOnly to Execute; what has been carried out cannot become a plan again"
// +kubebuilder:validation:XValidation:rule="!(self.mode == 'HardDelete' && self.onDelete == 'Restore')",message="HardDelete destroys the bytes and cannot be restored; use onDelete: KeepYanked, or mode: Quarantine; to destroy what a restorable Yank holds, create another Yank"
type YankSpec struct {
	// laneRef is the lane that published the artifacts.
	// +required
	LaneRef LaneReference `json:"laneRef,omitzero"`

	// selector says which files.
	// +required
	Selector YankSelector `json:"selector,omitzero"`

	// mode says how far they are taken back. It may only be raised.
	// +required
	Mode YankMode `json:"mode,omitempty"`

	// execution says whether to act or only to plan.
	// +optional
	// +kubebuilder:default=Execute
	Execution Execution `json:"execution,omitempty"`

	// reason is shown to users and kept in the public record.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.trim().size() > 0 && !self.matches('[\\\\p{Cc}\\\\p{Zl}\\\\p{Zp}\\\\x{202A}-\\\\x{202E}\\\\x{2066}-\\\\x{2069}]')",message="reason is one line of text that says why; it is shown to users"
	Reason string `json:"reason,omitempty"`

	// advisory is the public notice this Yank belongs to.
	// +optional
	Advisory Advisory `json:"advisory,omitzero"`

	// onBehalfOf is who asked for it, when somebody else creates the resource.
	// It is a claim; the requester itself is recorded by the API server.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.trim().size() > 0 && !self.matches('[\\\\p{Cc}\\\\p{Zl}\\\\p{Zp}\\\\x{202A}-\\\\x{202E}\\\\x{2066}-\\\\x{2069}]')",message="onBehalfOf is one line of text: a name or an address"
	OnBehalfOf string `json:"onBehalfOf,omitempty"`

	// onDelete says what deleting this resource does to the artifacts.
	// +optional
	// +kubebuilder:default=KeepYanked
	OnDelete OnDelete `json:"onDelete,omitempty"`
}

// ArtifactState is how far one artifact has come.
// +kubebuilder:validation:Enum=Planned;Listed;Flagged;OffIndex;Blocked;Deleted;Verified;Restored
type ArtifactState string

// The states of an artifact.
const (
	// ArtifactPlanned: selected, nothing done yet.
	ArtifactPlanned ArtifactState = "Planned"
	// ArtifactListed: still on a page.
	ArtifactListed ArtifactState = "Listed"
	// ArtifactFlagged: on the page with data-yanked (PEP 592).
	ArtifactFlagged ArtifactState = "Flagged"
	// ArtifactOffIndex: no page lists it any more.
	ArtifactOffIndex ArtifactState = "OffIndex"
	// ArtifactBlocked: off the index and out of reach, bytes kept.
	ArtifactBlocked ArtifactState = "Blocked"
	// ArtifactDeleted: off the index and every version destroyed.
	ArtifactDeleted ArtifactState = "Deleted"
	// ArtifactVerified: the public URLs were probed after the last step.
	ArtifactVerified ArtifactState = "Verified"
	// ArtifactRestored: taken back by deleting the Yank.
	ArtifactRestored ArtifactState = "Restored"
)

// YankedArtifact is one file that a Yank selects.
type YankedArtifact struct {
	// key of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Key string `json:"key,omitempty"`

	// sha256 of the file, as 64 lower-case hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	SHA256 string `json:"sha256,omitempty"`

	// sizeBytes is the file's size in bytes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SizeBytes *int64 `json:"sizeBytes,omitempty"`

	// state is how far this artifact has come.
	// +optional
	State ArtifactState `json:"state,omitempty"`
}

// MaxYankedArtifacts bounds status.artifacts; the record in the bucket is whole.
const MaxYankedArtifacts = 64

// YankStatus is the record of a Yank, short enough for the cluster. The whole
// record is an object in the bucket.
// +kubebuilder:validation:MinProperties=1
type YankStatus struct {
	// conditions say which step is done and what stands in the way.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks
	// of; -1 before the operator has seen the Yank.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// requester is who created the Yank, as the API server recorded it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Requester string `json:"requester,omitempty"`

	// artifactsCount is how many files the selector matches.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ArtifactsCount *int32 `json:"artifactsCount,omitempty"`

	// verifiedCount is how many of them were probed and found to be gone.
	// +optional
	// +kubebuilder:validation:Minimum=0
	VerifiedCount *int32 `json:"verifiedCount,omitempty"`

	// artifacts are the files the selector matches. It is cut to 64;
	// artifactsCount is not.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=64
	Artifacts []YankedArtifact `json:"artifacts,omitempty"`

	// warnings are what the plan wants a person to know before and after.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Warnings []string `json:"warnings,omitempty"`

	// record is the key of the whole record in the bucket.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Record string `json:"record,omitempty"`

	// plannedTime is when the selector was first resolved.
	// +optional
	PlannedTime *metav1.Time `json:"plannedTime,omitempty"`

	// indexRemovedTime is when the last page was published without the files.
	// +optional
	IndexRemovedTime *metav1.Time `json:"indexRemovedTime,omitempty"`

	// accessBlockedTime is when the last byte went out of reach.
	// +optional
	AccessBlockedTime *metav1.Time `json:"accessBlockedTime,omitempty"`

	// verifiedTime is when the public URLs were last probed with success.
	// +optional
	VerifiedTime *metav1.Time `json:"verifiedTime,omitempty"`
}

// Yank takes published artifacts back and proves that they are gone. While it
// exists it is a standing rule: a later upload that matches is treated the same
// way.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=yanks,categories=distribution
// +kubebuilder:printcolumn:name="Lane",type=string,JSONPath=`.spec.laneRef.name`
// +kubebuilder:printcolumn:name="Package",type=string,JSONPath=`.spec.selector.package`
// +kubebuilder:printcolumn:name="Versions",type=string,JSONPath=`.spec.selector.versions`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Files",type=integer,JSONPath=`.status.artifactsCount`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Why",type=string,priority=1,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Yank struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what to take back, how far, and why.
	// +required
	Spec YankSpec `json:"spec,omitzero"`

	// status is the record of what was done.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status YankStatus `json:"status,omitzero"`
}

// YankList is a list of Yanks.
// +kubebuilder:object:root=true
type YankList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the Yanks.
	// +required
	Items []Yank `json:"items"`
}
