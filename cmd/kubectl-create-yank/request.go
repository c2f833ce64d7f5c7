package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/validation"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// request is what the command line asks for, before it is judged.
type request struct {
	requirement string // positional; may be empty
	name        string
	lane        string
	mode        string
	reason      string
	channels    []string
	files       []string
	sha256      []string
	planOnly    bool
	advisory    string
	advisoryURL string
	onBehalfOf  string
	restore     bool
}

// yank puts the resource together. It judges what the API server cannot say
// better: the server has the last word on all values.
func (r *request) yank(namespace string) (*v1alpha1.Yank, error) {
	selector, err := r.selector()
	if err != nil {
		return nil, err
	}
	mode, err := parseMode(r.mode)
	if err != nil {
		return nil, err
	}
	switch {
	case r.lane == "":
		return nil, errors.New("--lane is required: name the PlatformLane that published the files (kubectl get platformlanes shows them)")
	case strings.TrimSpace(r.reason) == "":
		return nil, errors.New("--reason is required: one line that tells users why; it goes into the public record")
	case r.advisoryURL != "" && r.advisory == "":
		return nil, errors.New("--advisory-url needs --advisory: the id of the advisory that can be read there")
	}
	name := r.name
	if name == "" {
		name = generateName(selector)
	} else if faults := validation.IsDNS1123Subdomain(name); len(faults) > 0 {
		return nil, fmt.Errorf("--name %q: %s", name, faults[0])
	}
	yank := &v1alpha1.Yank{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Yank"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: v1alpha1.YankSpec{
			LaneRef:    v1alpha1.LaneReference{Name: r.lane},
			Selector:   selector,
			Mode:       mode,
			Reason:     r.reason,
			Advisory:   v1alpha1.Advisory{ID: r.advisory, URL: r.advisoryURL},
			OnBehalfOf: r.onBehalfOf,
		},
	}
	if r.planOnly {
		yank.Spec.Execution = v1alpha1.ExecutionPlanOnly
	}
	if r.restore {
		yank.Spec.OnDelete = v1alpha1.OnDeleteRestore
	}
	return yank, nil
}

func (r *request) selector() (v1alpha1.YankSelector, error) {
	s := v1alpha1.YankSelector{Files: r.files}
	switch {
	case r.requirement != "":
		requirement, err := pep440.ParseRequirement(r.requirement)
		if err != nil {
			return s, err
		}
		s.Package, s.Versions = requirement.Project, requirement.Specifiers.String()
	case len(r.sha256) == 0:
		return s, errors.New("name what to take back: a requirement such as torch==2.9.0+spyre, or --sha256 with the hash of a file")
	}
	for _, name := range r.channels {
		channel := v1alpha1.ChannelName(strings.ToLower(name))
		if !containsChannel(channel) {
			return s, fmt.Errorf("--channel %q is not a channel; use %s", name, strings.Join(channelNames(), ", "))
		}
		s.Channels = append(s.Channels, channel)
	}
	for _, hash := range r.sha256 {
		s.SHA256 = append(s.SHA256, strings.ToLower(strings.TrimPrefix(hash, "sha256:")))
	}
	return s, nil
}

// modes in their order, each with what it does, for help and completion.
var modes = []struct {
	mode v1alpha1.YankMode
	does string
}{
	{v1alpha1.YankFlag, "mark as yanked; exact pins still install (PEP 592)"},
	{v1alpha1.YankIndexRemoval, "take off the index; direct URLs still work"},
	{v1alpha1.YankQuarantine, "off the index and out of reach, bytes kept for forensics"},
	{v1alpha1.YankHardDelete, "off the index, every version of the bytes destroyed"},
}

func parseMode(text string) (v1alpha1.YankMode, error) {
	var lines strings.Builder
	for _, m := range modes {
		if strings.EqualFold(text, string(m.mode)) {
			return m.mode, nil
		}
		fmt.Fprintf(&lines, "\n  %-12s  %s", m.mode, m.does)
	}
	if text == "" {
		return "", fmt.Errorf("--mode is required: how far to take the files back%s", lines.String())
	}
	return "", fmt.Errorf("--mode %q is not a mode; use one of%s", text, lines.String())
}

func channelNames() []string {
	return []string{string(v1alpha1.ChannelNightly), string(v1alpha1.ChannelTest), string(v1alpha1.ChannelRelease)}
}

func containsChannel(channel v1alpha1.ChannelName) bool {
	for _, name := range channelNames() {
		if name == string(channel) {
			return true
		}
	}
	return false
}

const (
	// maxStem leaves room for the suffix within 63 characters, so that the name
	// is a valid label value too.
	maxStem      = 57
	suffixLength = 5
	hashLength   = 12
)

var (
	notInNameRE = regexp.MustCompile(`[^a-z0-9.]+`)
	aroundDotRE = regexp.MustCompile(`-*\.[-.]*`)
)

// generateName makes a readable name with a random end: torch-2.9.0-spyre-x7k2p.
func generateName(s v1alpha1.YankSelector) string {
	stem := s.Package + "-" + s.Versions
	if s.Package == "" {
		stem = "sha256-" + s.SHA256[0][:min(hashLength, len(s.SHA256[0]))]
	}
	stem = notInNameRE.ReplaceAllString(strings.ToLower(stem), "-")
	stem = aroundDotRE.ReplaceAllString(stem, ".")
	stem = strings.Trim(stem[:min(maxStem, len(stem))], "-.")
	if stem == "" {
		stem = "yank"
	}
	return stem + "-" + rand.String(suffixLength)
}
