package retention_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/retention"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func days(n int) time.Time { return now.AddDate(0, 0, -n) }

// file is a listed file of a version, called by its version and a letter.
func file(version, letter string, uploaded time.Time) catalog.File {
	return catalog.File{
		Name: version + letter, Version: version + "+spyre", SHA256: "ab", Size: 1, UploadTime: uploaded, State: catalog.StateListed,
	}
}

func project(files ...catalog.File) *catalog.Catalog {
	c := catalog.New("spyre", v1alpha1.ChannelNightly, "torch")
	c.PutAll(files)
	return c
}

func yanked(f catalog.File, mode v1alpha1.YankMode) catalog.File {
	f.Bury(catalog.Tombstone{UID: "u", Mode: mode})
	return f
}

func TestOf(t *testing.T) {
	rejected := file("1.0", "a", days(400))
	rejected.State = catalog.StateRejected
	unreadable := file("1.0", "a", days(400))
	unreadable.Version = "what?"
	retired := project(file("1.0", "a", days(400)), file("2.0", "a", days(1)))
	retired.Retired = true
	nightlies := project(file("3.0.dev1", "a", days(100)), file("3.0.dev2", "a", days(91)), file("3.0.dev3", "a", days(89)), file("3.0.dev4", "a", days(1)))
	releases := project(
		file("2.6.0", "a", days(900)), file("2.7.0", "a", days(800)), file("2.7.1", "a", days(10)), file("2.8.0", "a", days(300)),
		file("2.9.0", "a", days(200)), file("2.10.0rc1", "a", days(2)), file("2.10.0rc1", "b", days(2)))
	for name, test := range map[string]struct {
		c      *catalog.Catalog
		policy retention.Policy
		due    string
		next   time.Time
	}{
		"no policy keeps everything":        {c: nightlies, policy: retention.Policy{}},
		"by age":                            {nightlies, retention.Policy{Days: 90}, "3.0.dev1a 3.0.dev2a", days(89).AddDate(0, 0, 90)},
		"to the second":                     {project(file("1.0", "a", days(90)), file("2.0", "a", days(1))), retention.Policy{Days: 90}, "1.0a", time.Time{}},
		"a moment before":                   {project(file("1.0", "a", days(90).Add(time.Second)), file("2.0", "a", days(1))), retention.Policy{Days: 90}, "", now.Add(time.Second)},
		"newest versions stay, however old": {nightlies, retention.Policy{Days: 1, Versions: 2}, "3.0.dev1a 3.0.dev2a", time.Time{}},
		"by versions alone":                 {nightlies, retention.Policy{Versions: 3}, "3.0.dev1a", time.Time{}},
		"the last version stays":            {project(file("1.0", "a", days(900)), file("1.0", "b", days(900))), retention.Policy{Days: 1}, "", time.Time{}},
		"the last final version stays":      {project(file("1.0", "a", days(900)), file("2.0", "a", days(901)), file("2.1.dev1", "a", days(900)), file("2.1.dev2", "a", days(900))), retention.Policy{Days: 1}, "1.0a 2.1.dev1a", time.Time{}},
		"a version goes as a whole":         {project(file("1.0", "a", days(100)), file("1.0", "b", days(3)), file("2.0", "a", days(1))), retention.Policy{Days: 90}, "", days(3).AddDate(0, 0, 90)},
		"by series":                         {releases, retention.Policy{Series: 3}, "2.6.0a", time.Time{}},
		"a release candidate counts not":    {releases, retention.Policy{Series: 2}, "2.6.0a 2.7.0a 2.7.1a", time.Time{}},
		"fewer series than may stay":        {releases, retention.Policy{Series: 5}, "", time.Time{}},
		"series and versions":               {releases, retention.Policy{Series: 1, Versions: 4}, "2.6.0a 2.7.0a", time.Time{}},
		"series and age":                    {releases, retention.Policy{Series: 1, Days: 30}, "2.6.0a 2.7.0a 2.8.0a", days(10).AddDate(0, 0, 30)},
		"epochs":                            {project(file("2.9.0", "a", days(1)), file("1!1.0", "a", days(1))), retention.Policy{Series: 1}, "2.9.0a", time.Time{}},
		"not by the order of names":         {project(file("2.9.0", "a", days(1)), file("2.10.0", "a", days(1))), retention.Policy{Versions: 1}, "2.9.0a", time.Time{}},
		"a yanked version fills no place":   {project(file("1.0", "a", days(9)), file("2.0", "a", days(9)), yanked(file("3.0", "a", days(9)), v1alpha1.YankQuarantine), yanked(file("4.0", "a", days(9)), v1alpha1.YankFlag)), retention.Policy{Versions: 1}, "1.0a", time.Time{}},
		"evidence stays":                    {project(yanked(file("1.0", "a", days(900)), v1alpha1.YankFlag), yanked(file("1.1", "a", days(900)), v1alpha1.YankIndexRemoval), file("2.0", "a", days(1))), retention.Policy{Days: 1}, "", time.Time{}},
		"beside evidence":                   {project(yanked(file("1.0", "a", days(900)), v1alpha1.YankFlag), file("1.0", "b", days(900)), file("2.0", "a", days(1))), retention.Policy{Days: 1}, "1.0b", time.Time{}},
		"what is not listed stays":          {project(rejected, file("2.0", "a", days(1))), retention.Policy{Days: 1}, "", time.Time{}},
		"an unreadable version stays":       {project(unreadable, file("2.0", "a", days(2)), file("3.0", "a", days(2))), retention.Policy{Days: 1}, "2.0a", time.Time{}},
		"a retired lane":                    {retired, retention.Policy{Days: 1}, "", time.Time{}},
		"nothing":                           {project(), retention.Policy{Days: 1}, "", time.Time{}},
	} {
		got := retention.Of(test.c, test.policy, now)
		if strings.Join(got.Due, " ") != test.due || !got.Next.Equal(test.next) {
			t.Errorf("%s: due %v, next %v; want %s, %v", name, got.Due, got.Next, test.due, test.next)
		}
	}
}

func TestSpellingsOfOneVersionAreOneVersion(t *testing.T) {
	a, b := file("1.0", "a", days(100)), file("1.0.0", "b", days(1))
	if got := retention.Of(project(a, b, file("2.0", "a", days(1))), retention.Policy{Days: 90}, now); len(got.Due) > 0 {
		t.Errorf("due %v: half of a version", got.Due)
	}
}

func TestPolicyOf(t *testing.T) {
	for _, test := range []struct {
		channel v1alpha1.Channel
		want    string
	}{
		{v1alpha1.Channel{Name: v1alpha1.ChannelNightly}, "days=90"},
		{v1alpha1.Channel{Name: v1alpha1.ChannelNightly, RetentionDays: 7, KeepVersions: 5}, "days=7 versions=5"},
		{v1alpha1.Channel{Name: v1alpha1.ChannelTest}, ""},
		{v1alpha1.Channel{Name: v1alpha1.ChannelTest, KeepVersions: 2}, "versions=2"},
		{v1alpha1.Channel{Name: v1alpha1.ChannelRelease}, "series=3"},
		{v1alpha1.Channel{Name: v1alpha1.ChannelRelease, RetainSeries: 9, KeepVersions: 1}, "versions=1 series=9"},
	} {
		if got := retention.PolicyOf(test.channel).String(); got != test.want {
			t.Errorf("PolicyOf(%+v) = %q, want %q", test.channel, got, test.want)
		}
	}
}

// TestInvariants plans at random and holds the plan against what must be true of
// every one.
func TestInvariants(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	removed := 0
	for range 3000 {
		c := project()
		for range random.IntN(30) {
			version := fmt.Sprintf("%d.%d%s", 1+random.IntN(2), random.IntN(5), []string{"", "rc1", ".dev1"}[random.IntN(3)])
			f := file(version, string(rune('a'+random.IntN(3))), days(random.IntN(200)))
			if random.IntN(5) == 0 {
				f.Bury(catalog.Tombstone{UID: "u", Mode: []v1alpha1.YankMode{v1alpha1.YankFlag, v1alpha1.YankQuarantine}[random.IntN(2)]})
			}
			c.Put(f)
		}
		policy := retention.Policy{Days: random.IntN(2) * 90, Versions: random.IntN(3), Series: random.IntN(3)}
		plan := retention.Of(c, policy, now)
		if again := retention.Of(c.Clone(), policy, now); !slices.Equal(plan.Due, again.Due) || !plan.Next.Equal(again.Next) {
			t.Fatalf("two plans for one catalog: %v and %v", plan, again)
		}
		if !slices.IsSorted(plan.Due) {
			t.Fatalf("not in order: %v", plan.Due)
		}
		installable, left := 0, 0
		for i := range c.Files {
			f := &c.Files[i]
			_, due := slices.BinarySearch(plan.Due, f.Name)
			listed, flagged, _ := f.OnPage()
			switch {
			case due && (len(f.Tombstones) > 0 || f.State != catalog.StateListed):
				t.Fatalf("%s is due and is evidence", f.Name)
			case due && policy.Days > 0 && f.UploadTime.After(days(policy.Days)):
				t.Fatalf("%s is due and not that old", f.Name)
			case due:
				removed++
			}
			if listed && !flagged {
				installable++
				if !due {
					left++
				}
			}
		}
		if installable > 0 && left == 0 {
			t.Fatalf("policy %s leaves nothing of %d files", policy, installable)
		}
		// Carried out, it has nothing more to do.
		for _, name := range plan.Due {
			c.Find(name).Expire(now)
		}
		if rest := retention.Of(c, policy, now); len(rest.Due) > 0 {
			t.Fatalf("policy %s: once carried out, %v is due", policy, rest.Due)
		}
	}
	if removed < 1000 {
		t.Errorf("only %d files were due: the generator is broken", removed)
	}
}
