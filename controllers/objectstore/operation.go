package objectstore

// The requests that a Store sends, as they appear in [Error.Op], in the calls
// that the fake counts and in metrics. They are the names of the S3 API; a
// deletion of one version carries the name of its IAM action, since it is a
// different thing to be allowed.
const (
	OpList          = "ListObjectsV2"
	OpListVersions  = "ListObjectVersions"
	OpListUploads   = "ListMultipartUploads"
	OpHead          = "HeadObject"
	OpGet           = "GetObject"
	OpPut           = "PutObject"
	OpDelete        = "DeleteObject"
	OpDeleteVersion = "DeleteObjectVersion"
	OpTagVersion    = "PutObjectVersionTagging"
	OpCopy          = "CopyObject"
	OpAbortUpload   = "AbortMultipartUpload"
	OpVersioning    = "GetBucketVersioning"
)

// ListPageSize is how many entries one listing request returns at most.
const ListPageSize = 1000
