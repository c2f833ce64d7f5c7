package retention

import (
	"fmt"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// What a channel keeps that does not say.
const (
	DefaultNightlyDays   = 90
	DefaultReleaseSeries = 3
)

// Policy is what a channel keeps. A rule that is zero keeps nothing; a policy
// without rules keeps everything.
type Policy struct {
	// Days is how long a version stays after its newest file was uploaded.
	Days int
	// Versions is how many of the newest versions of a project stay.
	Versions int
	// Series is how many of the newest release series of a project stay.
	Series int
}

// PolicyOf is the policy of a channel, with its defaults.
func PolicyOf(channel v1alpha1.Channel) Policy {
	p := Policy{Days: int(channel.RetentionDays), Versions: int(channel.KeepVersions), Series: int(channel.RetainSeries)}
	if channel.Name == v1alpha1.ChannelNightly && p.Days == 0 {
		p.Days = DefaultNightlyDays
	}
	if channel.Name == v1alpha1.ChannelRelease && p.Series == 0 {
		p.Series = DefaultReleaseSeries
	}
	return p
}

// String is the canonical spelling, by which a change is told; empty for a
// policy that keeps everything.
func (p Policy) String() string {
	var rules []string
	for _, rule := range []struct {
		name  string
		value int
	}{{"days", p.Days}, {"versions", p.Versions}, {"series", p.Series}} {
		if rule.value > 0 {
			rules = append(rules, fmt.Sprintf("%s=%d", rule.name, rule.value))
		}
	}
	return strings.Join(rules, " ")
}
