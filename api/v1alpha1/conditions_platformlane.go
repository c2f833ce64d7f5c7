package v1alpha1

// ReadyCondition is the summary of both resources: True when everything the
// spec asks for holds.
const ReadyCondition = "Ready"

// ReconcilingCondition and StalledCondition are kstatus' abnormal-true
// conditions: present and True only while the operator is working towards the
// spec, or cannot get there without somebody's help.
const (
	ReconcilingCondition = "Reconciling"
	StalledCondition     = "Stalled"
)

// Reasons that several conditions share.
const (
	// ReasonReady surfaces when everything holds.
	ReasonReady = "Ready"
	// ReasonPending surfaces while a condition waits for an earlier one, or has
	// not been looked at yet.
	ReasonPending = "Pending"
	// ReasonProgressing surfaces while the operator is working towards the spec.
	ReasonProgressing = "Progressing"
	// ReasonNotRequested surfaces when the spec does not ask for this.
	ReasonNotRequested = "NotRequested"
	// ReasonDeleting surfaces while the resource is being taken down.
	ReasonDeleting = "Deleting"
)

// ClaimedCondition is True when this lane holds its platform's prefixes: no
// other lane does, and what was there before may be taken over.
const (
	ClaimedCondition = "Claimed"

	// ReasonClaimed surfaces when the lane holds its prefixes.
	ReasonClaimed = "Claimed"
	// ReasonHeldByAnother surfaces when another lane holds the platform; the
	// message says which.
	ReasonHeldByAnother = "HeldByAnother"
	// ReasonReservedName surfaces when the platform is a name that the index
	// uses itself.
	ReasonReservedName = "ReservedName"
	// ReasonForeignObjects surfaces when the prefixes hold objects that no lane
	// published and spec.adopt is Never.
	ReasonForeignObjects = "ForeignObjects"
)

// CredentialsReadyCondition is True when the lane's publishers can obtain
// credentials, or, for a suspended lane, when none of them works.
const (
	CredentialsReadyCondition = "CredentialsReady"

	// ReasonRoleSynced surfaces when IAM holds the role as the lane wants it.
	ReasonRoleSynced = "RoleSynced"
	// ReasonSuspended surfaces when IAM denies everything to the lane's
	// credentials, as spec.access asks.
	ReasonSuspended = "Suspended"
	// ReasonAdmittedOnly surfaces when the lane has no channels and therefore
	// no credentials.
	ReasonAdmittedOnly = "AdmittedOnly"
	// ReasonNoPublishers surfaces when nobody is named who may publish.
	ReasonNoPublishers = "NoPublishers"
	// ReasonUnknownIssuer surfaces when a publisher's token issuer is not
	// registered in the operator's configuration.
	ReasonUnknownIssuer = "UnknownIssuer"
	// ReasonUnsupportedPublisher surfaces when a kind of publisher is asked for
	// that this operator does not serve.
	ReasonUnsupportedPublisher = "UnsupportedPublisher"
	// ReasonDocumentTooLarge surfaces when the lane's permissions do not fit
	// into IAM's quotas; the message says by how much.
	ReasonDocumentTooLarge = "DocumentTooLarge"
	// ReasonUnsafeValue surfaces when a value would widen a policy.
	ReasonUnsafeValue = "UnsafeValue"
	// ReasonRoleMissing surfaces when there is no Role resource yet, or it was
	// deleted behind the operator's back.
	ReasonRoleMissing = "RoleMissing"
	// ReasonRoleUnreadable surfaces when the API server does not let the
	// operator read or write the Role resource.
	ReasonRoleUnreadable = "RoleUnreadable"
	// ReasonRoleConflict surfaces when a Role resource or an IAM role of that
	// name belongs to somebody else.
	ReasonRoleConflict = "RoleConflict"
	// ReasonRoleSyncing surfaces while the ACK controller works on the role.
	ReasonRoleSyncing = "RoleSyncing"
	// ReasonRoleRecoverable surfaces when the ACK controller reports an error
	// that it will retry.
	ReasonRoleRecoverable = "RoleRecoverable"
	// ReasonRoleTerminal surfaces when the ACK controller has given up on the
	// role until the spec changes.
	ReasonRoleTerminal = "RoleTerminal"
	// ReasonOverlapsAnotherLane surfaces while another lane has a role that may
	// write the same files; the message says which. It is Unknown while that lane
	// is being deleted.
	ReasonOverlapsAnotherLane = "OverlapsAnotherLane"
	// ReasonRoleDeleting surfaces while the Role resource is being deleted.
	ReasonRoleDeleting = "RoleDeleting"
	// ReasonAccessKeysDisabled surfaces when a publisher wants an access key and
	// the operator's configuration hands out none.
	ReasonAccessKeysDisabled = "AccessKeysDisabled"
	// ReasonAccessKeyPending surfaces while the lane's IAM user and its key are
	// being made or removed.
	ReasonAccessKeyPending = "AccessKeyPending"
	// ReasonAccessKeyFailed surfaces when IAM did not let the operator keep the
	// lane's user or its keys; it is tried again.
	ReasonAccessKeyFailed = "AccessKeyFailed"
	// ReasonAccessKeyConflict surfaces when an IAM user of that name belongs to
	// somebody else, or something was attached to it that is in the way.
	ReasonAccessKeyConflict = "AccessKeyConflict"
	// ReasonSecretUnwritable surfaces when the API server does not let the
	// operator keep the Secret that holds the access key.
	ReasonSecretUnwritable = "SecretUnwritable"
	// ReasonSecretConflict surfaces when a Secret of that name belongs to
	// somebody else.
	ReasonSecretConflict = "SecretConflict"
)

// StorageReadyCondition is True when the bucket and every mirror can be used.
const (
	StorageReadyCondition = "StorageReady"

	// ReasonStorageReachable surfaces when every store answers and keeps
	// versions.
	ReasonStorageReachable = "StorageReachable"
	// ReasonBucketMissing surfaces when a configured bucket does not exist.
	ReasonBucketMissing = "BucketMissing"
	// ReasonBucketUnversioned surfaces when a configured bucket does not keep
	// versions, without which a quarantine cannot keep evidence.
	ReasonBucketUnversioned = "BucketUnversioned"
	// ReasonStorageDenied surfaces when a store refuses the operator.
	ReasonStorageDenied = "StorageDenied"
	// ReasonStorageUnavailable surfaces when a store cannot be reached.
	ReasonStorageUnavailable = "StorageUnavailable"
)

// IndexReadyCondition is True when the published pages are what the lane's
// stored files make them.
const (
	IndexReadyCondition = "IndexReady"

	// ReasonIndexPublished surfaces when every page is up to date.
	ReasonIndexPublished = "IndexPublished"
	// ReasonIndexSyncing surfaces while files are being judged or pages written.
	ReasonIndexSyncing = "IndexSyncing"
	// ReasonIndexFailed surfaces when a page could not be brought up to date.
	ReasonIndexFailed = "IndexFailed"
	// ReasonMirrorBehind surfaces when a mirror could not be brought up to date.
	ReasonMirrorBehind = "MirrorBehind"
	// ReasonFilesRejected surfaces, with the condition True, when uploaded
	// files were left out; status.rejectedFiles says which and why.
	ReasonFilesRejected = "FilesRejected"
	// ReasonDependencyTrouble surfaces, with the condition True, when a dependency
	// is not listed as its index has it; status.dependencies says why.
	ReasonDependencyTrouble = "DependencyTrouble"
	// ReasonPurgePending surfaces while the CDN still has to drop old pages.
	ReasonPurgePending = "PurgePending"
	// ReasonRetentionFailed surfaces when the bytes of files that retention took
	// off the index could not be removed.
	ReasonRetentionFailed = "RetentionFailed"
)

// PlatformLaneConditions are the conditions a lane owns, in the order in which
// they come true. Ready summarises them.
var PlatformLaneConditions = []string{
	ClaimedCondition, CredentialsReadyCondition, StorageReadyCondition, IndexReadyCondition,
}

// AcceptDependenciesAnnotation names the dependencies of a lane, separated by
// commas, whose changes somebody has looked at: they are taken over even where
// files are suddenly missing or have other bytes than before.
const AcceptDependenciesAnnotation = "distribution.pytorch.org/accept-dependency-changes"

// LaneFinalizer keeps a deleted lane until its role and index entries are gone.
const LaneFinalizer = "distribution.pytorch.org/lane"

// YankFinalizer keeps a deleted Yank until its files are restored (or left) as
// spec.onDelete asks.
const YankFinalizer = "distribution.pytorch.org/yank"

// RequesterAnnotation is where the admission policies of config/policy write who
// created a Yank. Where they are installed, nobody else can set or change it.
const RequesterAnnotation = "distribution.pytorch.org/requester"

// AccessReasonAnnotation says why spec.access is what it is: one line of at most
// 512 bytes. It is set in the request that changes spec.access. Where the
// policies of config/policy are installed, a request that changes spec.access
// and gives no reason loses the one that was given for an earlier change.
const AccessReasonAnnotation = "distribution.pytorch.org/access-reason"

// AccessChangedByAnnotation is where the admission policies of config/policy
// write who changed spec.access, or its reason, last. Where they are installed,
// nobody else can set or change it. A request that removes it, and changes
// spec.access, says that the reason it holds is meant for this change even if it
// reads like the one before.
const AccessChangedByAnnotation = "distribution.pytorch.org/access-changed-by"
