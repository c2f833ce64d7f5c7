package access

import (
	"fmt"
	"io"
	"strings"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// WriteTo writes the explanation for people. It implements io.WriterTo.
func (e Explanation) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, e.Text())
	return int64(n), err
}

// Text is the explanation for people. What it shows of a manifest is plain ASCII,
// and quoted where it was refused.
func (e Explanation) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Lane %s, platform %s\n", e.Lane, e.Platform)
	if e.Role != "" {
		fmt.Fprintf(&b, "Role %s\n", e.Role)
	}
	fmt.Fprintf(&b, "\n%s\n", e.Summary)
	if e.Change != nil {
		fmt.Fprintf(&b, "%s.\n", changeText(*e.Change))
	}
	if e.SessionsNotBefore != nil {
		fmt.Fprintf(&b, "Sessions that were issued before %s are dead.\n", e.SessionsNotBefore.Format(time.RFC3339))
	}
	e.textOfPublishers(&b)
	e.textOfUploads(&b)
	list(&b, "What is never possible", e.Never)
	list(&b, "What is not protected here", e.Caveats)
	left := make([]string, len(e.LeftOut))
	for i, p := range e.LeftOut {
		left[i] = p.Field + ": " + p.Message
	}
	list(&b, "What the lane asks for and does not get", left)
	return b.String()
}

// changeText tells of the last change of spec.access.
func changeText(c v1alpha1.AccessChange) string {
	text := "Access became " + string(c.Access)
	if c.Time != nil {
		text += " at " + c.Time.UTC().Format(time.RFC3339)
	}
	if c.By != "" {
		text += " by " + quote(c.By)
	}
	if c.Reason != "" {
		text += ", because " + quote(c.Reason)
	}
	return text
}

func (e Explanation) textOfPublishers(b *strings.Builder) {
	if len(e.Publishers) == 0 {
		return
	}
	b.WriteString("\nWho may obtain credentials\n")
	for _, p := range e.Publishers {
		fmt.Fprintf(b, "  %s: %s.\n", p.Name, p.Who)
		if p.Issuer == "" {
			fmt.Fprintf(b, "    Why: %s names an accessKey.\n", p.Field)
			continue
		}
		fmt.Fprintf(b, "    Why: %s; AWS demands of a token of %s, all of it:\n", p.Field, p.Issuer)
		for _, d := range p.Demands {
			fmt.Fprintf(b, "      %s is %s\n", d.Claim, either(d.Values))
		}
	}
}

func (e Explanation) textOfUploads(b *strings.Builder) {
	if len(e.Uploads) == 0 {
		return
	}
	b.WriteString("\nWhat these credentials may write\n")
	var channel v1alpha1.ChannelName
	for _, u := range e.Uploads {
		if u.Channel != channel {
			channel = u.Channel
			fmt.Fprintf(b, "  %s, because spec.channels lists it\n", channel)
		}
		what := "the package " + u.Package
		if u.Package == "" {
			what = "attestations of these wheels"
		}
		fmt.Fprintf(b, "    %s%s (%s)\n      for example %s%s\n", u.Folder, u.Pattern, what, u.Folder, u.Example)
	}
}

func list(b *strings.Builder, title string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, item := range items {
		fmt.Fprintf(b, "  - %s\n", item)
	}
}
