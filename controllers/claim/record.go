package claim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// recordVersion is the one version of the record's format. An operator that
// finds another one leaves the platform alone.
const recordVersion = 1

// MaxRecordBytes bounds a record; no valid one is nearly as large.
const MaxRecordBytes = 4096

// maxField bounds each identifier of a record, in bytes: the length of the
// longest name in Kubernetes.
const maxField = 253

// Owner identifies a lane across clusters.
type Owner struct {
	// Cluster is the id of the cluster from the operator's configuration.
	Cluster string `json:"cluster"`
	// Namespace and Name are the PlatformLane's.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// UID is the PlatformLane's. It is for people: a lane that was created again
	// from its manifest is still the same owner.
	UID string `json:"uid"`
}

// String names the owner in a message.
func (o Owner) String() string {
	return fmt.Sprintf("the lane %s/%s of the cluster %s", o.Namespace, o.Name, o.Cluster)
}

// same says whether two owners are one lane.
func (o Owner) same(other Owner) bool {
	return o.Cluster == other.Cluster && o.Namespace == other.Namespace && o.Name == other.Name
}

// Record is what the bucket knows about who holds a platform.
type Record struct {
	// Platform that is held.
	Platform string
	// Owner is the lane that holds it.
	Owner Owner
	// Since is when it took it, in UTC, to the second.
	Since time.Time
}

// wire is the record as it is stored.
type wire struct {
	Version  int       `json:"version"`
	Platform string    `json:"platform"`
	Owner    Owner     `json:"owner"`
	Since    time.Time `json:"since"`
}

// Encode writes the record, always in the same form.
func (r Record) Encode() ([]byte, error) {
	if err := r.check(r.Platform); err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(wire{recordVersion, r.Platform, r.Owner, r.Since.UTC().Truncate(time.Second)}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the claim of %s: %w", r.Platform, err)
	}
	return append(raw, '\n'), nil
}

// Decode reads the record of a platform. Everything that this version does not
// know is an error: a record that is misread would hand the platform to two
// lanes.
func Decode(platform string, raw []byte) (Record, error) {
	if len(raw) > MaxRecordBytes {
		return Record{}, fmt.Errorf("the claim of %s has %d bytes, the limit is %d", platform, len(raw), MaxRecordBytes)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return Record{}, fmt.Errorf("the claim of %s is not JSON: %w", platform, err)
	}
	if head.Version != recordVersion {
		return Record{}, fmt.Errorf("the claim of %s has version %d and this operator reads version %d; upgrade the operator", platform, head.Version, recordVersion)
	}
	var w wire
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil {
		return Record{}, fmt.Errorf("the claim of %s cannot be read: %w", platform, err)
	}
	r := Record{Platform: w.Platform, Owner: w.Owner, Since: w.Since.UTC()}
	return r, r.check(platform)
}

func (r Record) check(platform string) error {
	if r.Platform != platform || platform == "" {
		return fmt.Errorf("the claim of %q speaks of the platform %q", platform, r.Platform)
	}
	for field, value := range map[string]string{
		"cluster": r.Owner.Cluster, "namespace": r.Owner.Namespace, "name": r.Owner.Name, "uid": r.Owner.UID,
	} {
		if !plain(value) {
			return fmt.Errorf("the claim of %s: owner.%s is not 1 to %d characters of printable ASCII without blanks", platform, field, maxField)
		}
	}
	if r.Since.IsZero() {
		return fmt.Errorf("the claim of %s: since is missing", platform)
	}
	return nil
}

func plain(value string) bool {
	for i := range len(value) {
		if value[i] <= ' ' || value[i] > '~' {
			return false
		}
	}
	return value != "" && len(value) <= maxField
}
