package identity

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/account"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// The account's own documents, judged by the simulator: they hold condition keys
// and policy variables that the local store cannot judge. What the store can judge
// of them is proved by every other test, for the operator and ACK run under them.

const (
	// crossings is how many requests of lanes at one another the fences must stop.
	crossings = 2_000

	lanesBucket  = "arn:aws:s3:::pytorch"
	lanesRoles   = "arn:aws:iam::000000000000:role/platform-lanes/platform-lane-"
	lanesUsers   = "arn:aws:iam::000000000000:user/platform-lanes/platform-lane-"
	theBoundary  = "arn:aws:iam::000000000000:policy/platform-lane-boundary"
	anything4all = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
)

// bootstrap are the documents of an account like the sample's.
func bootstrap(t *testing.T) map[string]string {
	t.Helper()
	root, err := sandbox.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := operatorconfig.Load(filepath.Join(root, "config", "manager", "operator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.AWS.AccountID, cfg.Roles.PermissionsBoundaryARN = "000000000000", theBoundary
	cfg.AccessKeys.Mode = operatorconfig.AccessKeysEnabled
	documents, err := account.Documents(cfg)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, d := range documents {
		all[d.Name] = string(d.JSON)
	}
	return all
}

// with adds statements to a document, as if somebody attached another policy.
func with(t *testing.T, document string, others ...string) string {
	t.Helper()
	var all struct {
		Version   string
		Statement []json.RawMessage
	}
	for _, d := range append([]string{document}, others...) {
		var one struct {
			Version   string
			Statement []json.RawMessage
		}
		if err := json.Unmarshal([]byte(d), &one); err != nil {
			t.Fatal(err)
		}
		all.Version = one.Version
		all.Statement = append(all.Statement, one.Statement...)
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// principal is somebody with condition keys.
type principal struct {
	arn  string
	keys map[string]string
}

// laneRole is a session of a lane's role. An empty tag is none.
func laneRole(name, tag string) principal {
	p := principal{"arn:aws:sts::000000000000:assumed-role/platform-lane-" + name + "/job", map[string]string{
		"aws:PrincipalArn": lanesRoles + name, "aws:PrincipalAccount": "000000000000", "aws:SecureTransport": "true",
	}}
	if tag != "" {
		p.keys["aws:PrincipalTag/lane"] = tag
	}
	return p
}

func laneUser(name, tag string) principal {
	p := laneRole(name, tag)
	p.arn, p.keys["aws:PrincipalArn"] = lanesUsers+name, lanesUsers+name
	return p
}

func elsewhere(arn, account string) principal {
	return principal{arn, map[string]string{"aws:PrincipalArn": arn, "aws:PrincipalAccount": account, "aws:SecureTransport": "true"}}
}

// asks is a question of a principal.
func (p principal) asks(identity, resource, action, arn string, pairs ...string) question {
	keys := maps.Clone(p.keys)
	for i := 0; i < len(pairs); i += 2 {
		keys[pairs[i]] = pairs[i+1]
	}
	return question{Identity: identity, Resource: resource, Principal: p.arn, Action: action, ARN: arn, Context: keys}
}

// once are the condition keys of an upload that overwrites nothing.
var once = []string{"s3:if-none-match", "*", "s3:ObjectCreationOperation", "true"}

const wheelName = "torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl"

// A lane whose own policy allows everything is held by the boundary, and as if
// there were none, by the bucket policy.
func TestTheFencesHoldALaneThatMayDoEverything(t *testing.T) {
	s, documents := startSimulator(t), bootstrap(t)
	everything := s.keep("identity", anything4all)
	boundary, fence := s.keep("identity", documents[account.PermissionsBoundary]), s.keep("resource", documents[account.BucketPolicy])
	spyre := laneRole("spyre", "spyre")
	type request struct {
		what        string
		by          principal
		action, arn string
		keys        []string
		// boundary and fence say what each of the two lets through alone.
		boundary, fence bool
	}
	object := func(key string) string { return lanesBucket + "/" + key }
	own := object("whl/nightly/spyre/" + wheelName)
	requests := []request{
		{"a wheel", spyre, "s3:PutObject", own, once, true, true},
		{"a release", spyre, "s3:PutObject", object("whl/spyre/" + wheelName), once, true, true},
		{"a test build", spyre, "s3:PutObject", object("whl/test/spyre/" + wheelName), once, true, true},
		{"an attestation", spyre, "s3:PutObject", own + ".provenance", once, true, true},
		{"an archive", spyre, "s3:PutObject", object("libtorch/nightly/spyre/libtorch-2.9.0+spyre.zip"), once, true, true},
		{"a part", spyre, "s3:PutObject", own, []string{"s3:ObjectCreationOperation", "false"}, true, true},
		{"aborting an upload", spyre, "s3:AbortMultipartUpload", own, nil, true, true},
		{"reading what is public", spyre, "s3:GetObject", object("whl/cpu/torch.whl"), nil, true, true},

		{"overwriting", spyre, "s3:PutObject", own, []string{"s3:ObjectCreationOperation", "true"}, true, false},
		{"plain HTTP", spyre, "s3:PutObject", own, append(slices.Clone(once), "aws:SecureTransport", "false"), true, false},

		{"a page of its own", spyre, "s3:PutObject", object("whl/spyre/torch/index.html"), once, false, false},
		{"a METADATA file", spyre, "s3:PutObject", own + ".metadata", once, false, false},
		{"another lane's wheel", spyre, "s3:PutObject", object("whl/nightly/rbln/" + wheelName), once, false, false},
		{"a lane that begins alike", spyre, "s3:PutObject", object("whl/nightly/spyre2/" + wheelName), once, false, false},
		{"PyTorch's own", spyre, "s3:PutObject", object("whl/nightly/cpu/" + wheelName), once, false, false},
		{"above the lanes", spyre, "s3:PutObject", object("whl/nightly/" + wheelName), once, false, false},
		{"the operator's records", spyre, "s3:PutObject", object("_lanes/spyre/claim.json"), once, false, false},
		{"reading these", spyre, "s3:GetObject", object("_lanes/spyre/claim.json"), nil, false, false},
		{"aborting another's upload", spyre, "s3:AbortMultipartUpload", object("whl/rbln/" + wheelName), nil, false, false},
		{"deleting its own file", spyre, "s3:DeleteObject", own, nil, false, false},
		{"destroying a version", spyre, "s3:DeleteObjectVersion", own, nil, false, false},
		{"tagging", spyre, "s3:PutObjectTagging", own, nil, false, false},
		{"an ACL", spyre, "s3:PutObjectAcl", own, nil, false, false},
		{"a lock", spyre, "s3:PutObjectRetention", own, nil, false, false},
		{"an old version", spyre, "s3:GetObjectVersion", own, nil, false, false},
		{"listing", spyre, "s3:ListBucket", lanesBucket, nil, false, false},
		{"the bucket's policy", spyre, "s3:PutBucketPolicy", lanesBucket, nil, false, false},
		{"the bucket's lifecycle", spyre, "s3:PutLifecycleConfiguration", lanesBucket, nil, false, false},
	}
	for what, impostor := range map[string]principal{
		"a role without a tag":           laneRole("spyre", ""),
		"a role with another's tag":      laneRole("rbln", "spyre"),
		"a user that is not a role":      laneUser("spyre", "spyre"),
		"a user without a tag":           laneUser("spyre", ""),
		"a role whose tag has a slash":   laneRole("nightly", "nightly/spyre"),
		"a role that stands for channel": laneRole("nightly", "nightly"),
	} {
		requests = append(requests,
			request{what + ": a wheel", impostor, "s3:PutObject", own, once, false, false},
			request{what + ": deleting", impostor, "s3:DeleteObject", own, nil, false, false})
	}
	for _, name := range []string{"cpu", "cu128", "rocm6", "torchvision", "numpy", "test"} {
		requests = append(requests, request{"a lane named " + name, laneRole(name, name), "s3:PutObject", object("whl/" + name + "/" + wheelName), once, false, false})
	}
	var bounded, fenced []question
	for _, r := range requests {
		fenced = append(fenced, r.by.asks(everything, fence, r.action, r.arn, r.keys...))
		bounded = append(bounded, r.by.asks(boundary, "", r.action, r.arn, r.keys...))
	}
	byFence, byBoundary := s.decide(fenced), s.decide(bounded)
	for i, r := range requests {
		if byFence[i] != r.fence {
			t.Errorf("%s: the bucket policy lets it through: %t, want %t", r.what, byFence[i], r.fence)
		}
		if byBoundary[i] != r.boundary {
			t.Errorf("%s: the boundary lets it through: %t, want %t", r.what, byBoundary[i], r.boundary)
		}
	}
	// Without the fence they all may: the questions themselves are sound.
	var free []question
	for _, r := range requests {
		free = append(free, r.by.asks(everything, "", r.action, r.arn, r.keys...))
	}
	for i, yes := range s.decide(free) {
		if !yes {
			t.Errorf("%s is refused even without a fence", requests[i].what)
		}
	}
}

// Random lanes, folders and calls: each fence alone stops every request at what is
// not the lane's, and lets through every upload that is.
func TestTheFencesStopEveryCrossing(t *testing.T) {
	s, documents, r := startSimulator(t), bootstrap(t), newRandom(t)
	everything := s.keep("identity", anything4all)
	boundary, fence := s.keep("identity", documents[account.PermissionsBoundary]), s.keep("resource", documents[account.BucketPolicy])
	names := []string{"spyre", "spyre2", "spy", "re", "rbln", "metax", "whl", "nightlyx", "lanes", "a1", "zz"}
	folders := []string{"whl/%s/", "whl/nightly/%s/", "whl/test/%s/", "libtorch/%s/", "libtorch/nightly/%s/", "libtorch/test/%s/", "whl/%s/whl/%[1]s/", "_lanes/%s/"}
	var bounded, fenced []question
	var want []bool
	for range crossings {
		mine, theirs := one(r, names...), one(r, names...)
		if r.IntN(3) == 0 {
			theirs = mine
		}
		folder, file := fmt.Sprintf(one(r, folders...), theirs), fileIn(r)
		// Uploads below one's own folder, of the right kind, and nothing else.
		home := func(root string, suffixes ...string) bool {
			rest, ok := strings.CutPrefix(folder+file, root)
			return ok && slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(rest, s) })
		}
		ok := false
		for _, channel := range []string{"", "nightly/", "test/"} {
			ok = ok || home("whl/"+channel+mine+"/", ".whl", ".whl.provenance") || home("libtorch/"+channel+mine+"/", ".zip", ".zip.provenance")
		}
		action, keys := "s3:PutObject", once
		if r.IntN(4) == 0 {
			action, keys, ok = one(r, "s3:DeleteObject", "s3:PutObjectAcl", "s3:DeleteObjectVersion", "s3:PutObjectTagging"), nil, false
		}
		by := laneRole(mine, mine)
		bounded = append(bounded, by.asks(boundary, "", action, lanesBucket+"/"+folder+file, keys...))
		fenced = append(fenced, by.asks(everything, fence, action, lanesBucket+"/"+folder+file, keys...))
		want = append(want, ok)
	}
	byBoundary, byFence, through := s.decide(bounded), s.decide(fenced), 0
	for i, ok := range want {
		if ok {
			through++
		}
		if byBoundary[i] != ok || byFence[i] != ok {
			t.Errorf("%s %s by %s: the boundary says %t, the bucket policy %t, want %t",
				bounded[i].Action, bounded[i].ARN, bounded[i].Principal, byBoundary[i], byFence[i], ok)
		}
	}
	if through < crossings/50 || through > crossings/2 {
		t.Errorf("%d of %d requests were legitimate: the test asks the wrong questions", through, crossings)
	}
}

func fileIn(r *rand.Rand) string {
	return one(r, "torch-1.0+x-cp312-cp312-any.whl", "torch-1.0+x-cp312-cp312-any.whl.provenance", "libtorch-1.0+x.zip", "libtorch-1.0+x.zip.provenance",
		"index.html", "torch-1.0.whl.metadata", "torch/index.html", "claim.json", "x.tar.gz")
}

// What everybody may read, even if somebody makes the whole bucket public.
func TestTheBucketPolicyKeepsPrivateWhatIs(t *testing.T) {
	s, documents := startSimulator(t), bootstrap(t)
	everything := s.keep("identity", anything4all)
	const open = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject*","s3:List*"],"Resource":["arn:aws:s3:::pytorch","arn:aws:s3:::pytorch/*"]}]}`
	policy, opened := s.keep("resource", documents[account.BucketPolicy]), s.keep("resource", with(t, documents[account.BucketPolicy], open))
	stranger := elsewhere("arn:aws:iam::999999999999:user/somebody", "999999999999")
	admin := elsewhere("arn:aws:iam::000000000000:role/admin", "000000000000")
	var questions []question
	var want []bool
	add := func(yes bool, q question) { questions, want = append(questions, q), append(want, yes) }
	for _, key := range []string{"/whl/nightly/spyre/x.whl", "/libtorch/spyre/x.zip", "/platforms/spyre.json", "/whl/cpu/torch/index.html"} {
		add(true, stranger.asks(everything, policy, "s3:GetObject", lanesBucket+key))
	}
	add(false, stranger.asks(everything, policy, "s3:GetObject", lanesBucket+"/models/x"))
	add(true, stranger.asks(everything, opened, "s3:GetObject", lanesBucket+"/models/x"))
	for _, p := range []string{policy, opened} {
		add(false, stranger.asks(everything, p, "s3:GetObject", lanesBucket+"/_lanes/spyre/release/torch.json"))
		add(false, stranger.asks(everything, p, "s3:GetObjectVersion", lanesBucket+"/whl/spyre/x.whl"))
		add(false, stranger.asks(everything, p, "s3:ListBucketVersions", lanesBucket))
		add(false, stranger.asks(everything, p, "s3:PutObject", lanesBucket+"/whl/spyre/x.whl", once...))
		add(false, stranger.asks(everything, p, "s3:DeleteObject", lanesBucket+"/whl/spyre/x.whl"))
		// Those whom the account trusts with everything are not in the way of it.
		add(true, admin.asks(everything, p, "s3:GetObject", lanesBucket+"/_lanes/spyre/release/torch.json"))
		add(true, admin.asks(everything, p, "s3:GetObjectVersion", lanesBucket+"/whl/spyre/x.whl"))
		add(true, admin.asks(everything, p, "s3:DeleteObjectVersion", lanesBucket+"/whl/spyre/x.whl"))
		add(false, admin.asks(everything, p, "s3:DeleteObject", lanesBucket+"/whl/spyre/x.whl", "aws:SecureTransport", "false"))
	}
	check(t, s, questions, want)
}

// ACK's iam-controller, with its own policy, and with administrator's rights
// attached beside it by mistake.
func TestTheIAMControllerIsHeld(t *testing.T) {
	s, documents := startSimulator(t), bootstrap(t)
	own, wide := s.keep("identity", documents[account.IAMController]), s.keep("identity", with(t, documents[account.IAMController], anything4all))
	ack := elsewhere("arn:aws:iam::000000000000:role/ack", "000000000000")
	const lane, foreign, missing = lanesRoles + "spyre", "arn:aws:iam::000000000000:role/administrator", "arn:aws:iam::000000000000:role/platform-lane-spyre"
	bounded, other := []string{"iam:PermissionsBoundary", theBoundary}, []string{"iam:PermissionsBoundary", "arn:aws:iam::000000000000:policy/other"}
	var questions []question
	var want []bool
	for _, policy := range []string{own, wide} {
		add := func(yes bool, action, arn string, keys ...string) {
			questions, want = append(questions, ack.asks(policy, "", action, arn, keys...)), append(want, yes)
		}
		for _, action := range []string{"iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"} {
			add(true, action, lane, bounded...)
			add(false, action, lane, other...)
			add(false, action, lane)
			add(false, action, foreign, bounded...)
			add(false, action, "arn:aws:iam::000000000000:role/platform-lanes/other", bounded...)
		}
		for _, action := range []string{
			"iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
		} {
			add(true, action, lane)
			add(false, action, foreign)
		}
		for _, action := range []string{"iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:ListRoleTags"} {
			add(true, action, lane)
		}
		add(true, "iam:GetRole", missing)
		add(false, "iam:AttachRolePolicy", lane, bounded...)
		add(false, "iam:DeleteRolePermissionsBoundary", lane, bounded...)
		add(false, "iam:PassRole", lane)
		for _, action := range []string{"iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion"} {
			add(false, action, theBoundary)
		}
		add(policy == wide, "iam:GetRolePolicy", foreign) // Reading is no harm.
		add(policy == wide, "s3:PutObject", lanesBucket+"/whl/spyre/x.whl")
	}
	check(t, s, questions, want)
}

// The operator, with its own policies, and with administrator's rights attached
// beside them by mistake.
func TestTheOperatorIsHeld(t *testing.T) {
	s, documents := startSimulator(t), bootstrap(t)
	var mine []string
	for name, d := range documents {
		if name == account.Operator || strings.HasPrefix(name, account.Operator+"-") {
			mine = append(mine, d)
		}
	}
	own, wide := s.keep("identity", with(t, mine[0], mine[1:]...)), s.keep("identity", with(t, anything4all, mine...))
	operator := elsewhere("arn:aws:iam::000000000000:role/operator", "000000000000")
	fence := s.keep("resource", documents[account.BucketPolicy])
	const user, foreign = lanesUsers + "spyre", "arn:aws:iam::000000000000:user/alice"
	bounded := []string{"iam:PermissionsBoundary", theBoundary}
	var questions []question
	var want []bool
	for _, policy := range []string{own, wide} {
		add := func(yes bool, action, arn string, keys ...string) {
			questions, want = append(questions, operator.asks(policy, fence, action, arn, keys...)), append(want, yes)
		}
		onObject := func(yes bool, action, key string) { add(yes, action, lanesBucket+"/"+key) }
		for _, key := range []string{
			"whl/spyre/index.html", "whl/nightly/spyre/torch/index.v1_json", "whl/spyre/removals.json", "whl/test/spyre/x.whl.metadata",
			"_lanes/spyre/release/torch.json", "_lanes/quarantine/uid/whl/spyre/x.whl",
		} {
			onObject(true, "s3:PutObject", key)
		}
		for _, action := range []string{"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectVersionTagging", "s3:AbortMultipartUpload"} {
			onObject(true, action, "whl/nightly/spyre/x.whl")
			onObject(true, action, "libtorch/spyre/x.zip")
			for _, key := range []string{"whl/cpu/x.whl", "whl/nightly/cu128/x.whl", "whl/test/rocm6.4/x.whl", "libtorch/xpu/x.zip", "whl/torchvision/index.html"} {
				onObject(false, action, key)
			}
		}
		for _, key := range []string{"whl/index.html", "whl/nightly/index.html", "libtorch/nightly/index.v1_json", "whl/nightly/torch/index.html", "whl/cu118/index.html"} {
			onObject(false, "s3:PutObject", key)
		}
		for _, key := range []string{"whl/spyre/x.whl", "libtorch/spyre/x.zip", "models/x"} {
			onObject(policy == wide, "s3:PutObject", key)
		}
		onObject(policy == wide, "s3:DeleteObjectVersion", "_lanes/spyre/yanks/uid.json")
		onObject(true, "s3:DeleteObjectVersion", "_lanes/spyre/claim.json")
		add(true, "s3:ListBucketVersions", lanesBucket)
		add(policy == wide, "s3:PutBucketPolicy", lanesBucket)
	}
	for _, policy := range []string{own, wide} {
		add := func(yes bool, action, arn string, keys ...string) {
			questions, want = append(questions, operator.asks(policy, "", action, arn, keys...)), append(want, yes)
		}
		for _, action := range []string{"iam:CreateUser", "iam:PutUserPolicy", "iam:PutUserPermissionsBoundary"} {
			add(true, action, user, bounded...)
			add(false, action, user)
			add(false, action, foreign, bounded...)
		}
		for _, action := range []string{"iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:DeleteUser", "iam:TagUser"} {
			add(true, action, user)
			add(false, action, foreign)
		}
		add(false, "iam:AttachUserPolicy", user, bounded...)
		add(false, "iam:CreateLoginProfile", user)
		add(policy == wide, "iam:CreateRole", lanesRoles+"spyre", bounded...)
	}
	check(t, s, questions, want)
}

// A user with an access key becomes its own lane's role and no other, whatever its
// own policy says.
func TestAKeyOpensItsOwnLaneOnly(t *testing.T) {
	s, documents := startSimulator(t), bootstrap(t)
	boundary := s.keep("identity", documents[account.PermissionsBoundary])
	var questions []question
	var want []bool
	for _, c := range []struct {
		by   principal
		role string
		yes  bool
	}{
		{laneUser("spyre", "spyre"), lanesRoles + "spyre", true},
		{laneUser("spyre", "spyre"), lanesRoles + "rbln", false},
		{laneUser("spyre", "spyre"), "arn:aws:iam::000000000000:role/administrator", false},
		{laneUser("rbln", "spyre"), lanesRoles + "spyre", false},
		{laneUser("spyre", ""), lanesRoles + "spyre", false},
		{laneRole("spyre", "spyre"), lanesRoles + "spyre", false},
	} {
		questions, want = append(questions, c.by.asks(boundary, "", "sts:AssumeRole", c.role)), append(want, c.yes)
	}
	check(t, s, questions, want)
}

func check(t *testing.T, s *simulator, questions []question, want []bool) {
	t.Helper()
	for i, yes := range s.decide(questions) {
		if q := questions[i]; yes != want[i] {
			t.Errorf("%s %s by %s (%s): %t, want %t", q.Action, q.ARN, q.Principal, q.Identity, yes, want[i])
		}
	}
}
