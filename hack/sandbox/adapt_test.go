package sandbox

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

// What the local store cannot judge is left out, and nothing beside it.
func TestAdaptChangesWhatItSays(t *testing.T) {
	const document = `{"Version": "2012-10-17", "Statement": [
		{"Sid": "Give", "Effect": "Allow", "Action": ["iam:CreateRole"], "Resource": "arn:aws:iam::1:role/x/*", "Condition": {"StringEquals": {"iam:PermissionsBoundary": "b"}}},
		{"Sid": "Both", "Effect": "Allow", "Action": "iam:TagRole", "Resource": "r", "Condition": {"StringEquals": {"iam:PermissionsBoundary": "b", "aws:RequestTag/lane": "x"}}},
		{"Sid": "Look", "Effect": "Allow", "Action": "iam:GetRole", "Resource": ["a", "b"]},
		{"Sid": "Read", "Effect": "Allow", "Action": ["iam:GetRolePolicy"], "Resource": ["a", "b"]},
		{"Sid": "Unbounded", "Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*", "Condition": {"StringNotEquals": {"iam:PermissionsBoundary": "b"}}},
		{"Sid": "Elsewhere", "Effect": "Deny", "Action": "iam:CreateRole", "NotResource": "r", "Condition": {"Null": {"aws:PrincipalTag/lane": "false"}}}
	]}`
	const want = `{"Version": "2012-10-17", "Statement": [
		{"Sid": "Give", "Effect": "Allow", "Action": ["iam:CreateRole"], "Resource": "arn:aws:iam::1:role/x/*"},
		{"Sid": "Both", "Effect": "Allow", "Action": "iam:TagRole", "Resource": "r", "Condition": {"StringEquals": {"aws:RequestTag/lane": "x"}}},
		{"Sid": "Look", "Effect": "Allow", "Action": "iam:GetRole", "Resource": "*"},
		{"Sid": "Read", "Effect": "Allow", "Action": ["iam:GetRolePolicy"], "Resource": ["a", "b"]},
		{"Sid": "Elsewhere", "Effect": "Deny", "Action": "iam:CreateRole", "NotResource": "r", "Condition": {"Null": {"aws:PrincipalTag/lane": "false"}}}
	]}`
	adapted, err := adapt([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	var got, expected any
	for raw, into := range map[string]*any{string(adapted): &got, want: &expected} {
		if err := json.Unmarshal([]byte(raw), into); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("adapted to %s", adapted)
	}
}

// The two users get all that is meant for them.
func TestThePoliciesOfTheUsers(t *testing.T) {
	s := &Stack{Info: Info{
		Dir: t.TempDir(), AccountID: AccountID, Region: Region, Bucket: Bucket, MirrorBucket: MirrorBucket, UnversionedBucket: UnversionedBucket,
		S3Endpoint: "http://127.0.0.1:1", CDNURL: "http://127.0.0.1:2", MirrorURL: "http://127.0.0.1:3", IAMEndpoint: "http://127.0.0.1:4",
		OIDCIssuer: "http://127.0.0.1:5", OIDCProviderARN: "arn:aws:iam::" + AccountID + ":oidc-provider/127.0.0.1:5",
		QueueURL: "http://127.0.0.1:6/" + AccountID + "/" + QueueName, DistributionID: DistributionID,
	}}
	policies, err := s.policies()
	if err != nil {
		t.Fatal(err)
	}
	sids := map[string][]string{}
	for user, documents := range policies {
		for _, d := range documents {
			var policy struct{ Statement []struct{ Sid string } }
			if err := json.Unmarshal(d, &policy); err != nil {
				t.Fatal(err)
			}
			for _, statement := range policy.Statement {
				sids[user] = append(sids[user], statement.Sid)
			}
		}
	}
	for user, wanted := range map[string][]string{
		operatorUser: {"ListBuckets", "WriteIndex", "TakeBackFiles", "EmptyCaches", "ReadEvents", "NotPyTorchsOwnBuilds", "ManageUsers", "DenyUsersElsewhere"},
		ackUser:      {"GiveRolesPermissionsWithinTheBoundary", "LookForRoles", "DenyRolesElsewhere", "DenyWhatNoLaneNeeds", "DenyChangingTheBoundary"},
	} {
		for _, sid := range wanted {
			if !slices.Contains(sids[user], sid) {
				t.Errorf("%s lacks %s; it has %q", user, sid, sids[user])
			}
		}
	}
	if len(policies) != 2 {
		t.Errorf("policies of %d users", len(policies))
	}
}
