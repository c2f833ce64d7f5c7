package v1alpha1

// AcceptedCondition is True when the selector could be resolved against the
// lane.
const (
	AcceptedCondition = "Accepted"

	// ReasonResolved surfaces when the selector matches files.
	ReasonResolved = "Resolved"
	// ReasonNothingMatched surfaces, with the condition True, when no file
	// matches now; a later upload that matches is taken back.
	ReasonNothingMatched = "NothingMatched"
	// ReasonPlanned surfaces on Ready when execution is PlanOnly and the plan
	// is complete.
	ReasonPlanned = "Planned"
	// ReasonLaneNotFound surfaces when laneRef names no lane of this namespace.
	ReasonLaneNotFound = "LaneNotFound"
	// ReasonLaneNotClaimed surfaces when the lane does not hold its prefixes.
	ReasonLaneNotClaimed = "LaneNotClaimed"
	// ReasonInvalidSelector surfaces when the selector cannot be read.
	ReasonInvalidSelector = "InvalidSelector"
	// ReasonCatalogUnavailable surfaces when the lane's catalogs cannot be read.
	ReasonCatalogUnavailable = "CatalogUnavailable"
)

// IndexRemovedCondition is True when no page lists the files as installable:
// they are marked (Flag) or gone (all other modes), on every store.
const (
	IndexRemovedCondition = "IndexRemoved"

	// ReasonFlagged surfaces when the pages mark the files as yanked.
	ReasonFlagged = "Flagged"
	// ReasonUnlisted surfaces when the pages no longer list the files.
	ReasonUnlisted = "Unlisted"
	// ReasonPublishFailed surfaces when a page could not be written.
	ReasonPublishFailed = "PublishFailed"
)

// AccessBlockedCondition is True when the bytes are out of everybody's reach
// and kept (Quarantine).
const (
	AccessBlockedCondition = "AccessBlocked"

	// ReasonBlocked surfaces when every version of the bytes is out of reach.
	ReasonBlocked = "Blocked"
	// ReasonBytesFailed surfaces when a store failed to hide or delete bytes.
	ReasonBytesFailed = "BytesFailed"
	// ReasonHostedElsewhere surfaces when files are only linked to: another index
	// publishes their bytes, and nobody here can take them down. Also on Deleted.
	ReasonHostedElsewhere = "HostedElsewhere"
	// ReasonObjectLocked surfaces when Object Lock refuses; retrying is no use
	// until its retention ends.
	ReasonObjectLocked = "ObjectLocked"
)

// DeletedCondition is True when no version of the bytes is left (HardDelete).
const (
	DeletedCondition = "Deleted"

	// ReasonDestroyed surfaces when no version and no unfinished upload is left.
	ReasonDestroyed = "Destroyed"
)

// CachesPurgedCondition is True when the CDN has dropped its copies.
const (
	CachesPurgedCondition = "CachesPurged"

	// ReasonPurged surfaces when the CDN says Completed.
	ReasonPurged = "Purged"
	// ReasonPurging surfaces while the CDN works on the invalidation.
	ReasonPurging = "Purging"
	// ReasonPurgeFailed surfaces when the CDN refused or failed; it is retried.
	ReasonPurgeFailed = "PurgeFailed"
	// ReasonNoCDN surfaces, with the condition True, when the configuration
	// names no CDN.
	ReasonNoCDN = "NoCDN"
)

// VerifiedCondition is True when the public URLs were probed after the purge
// and answered as the mode demands.
const (
	VerifiedCondition = "Verified"

	// ReasonProbed surfaces when every probe was answered as demanded.
	ReasonProbed = "Probed"
	// ReasonStillReachable surfaces when a public URL still serves the bytes or
	// a page still lists them; the message says which.
	ReasonStillReachable = "StillReachable"
	// ReasonProbeFailed surfaces when a probe got no answer that proves
	// anything.
	ReasonProbeFailed = "ProbeFailed"
)

// Reasons of a Yank that is being restored.
const (
	// ReasonRestoring surfaces while the files are being restored.
	ReasonRestoring = "Restoring"
	// ReasonBytesChanged surfaces when the stored bytes no longer have the
	// recorded hash and are therefore not restored.
	ReasonBytesChanged = "BytesChanged"
)

// BlockConditionFor is the condition that tells about the bytes in this mode:
// AccessBlocked or Deleted; empty for modes that leave the bytes alone.
func BlockConditionFor(m YankMode) string {
	switch m {
	case YankQuarantine:
		return AccessBlockedCondition
	case YankHardDelete:
		return DeletedCondition
	default:
		return ""
	}
}
