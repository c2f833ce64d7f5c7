package identity

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Names that the lane may write, in ways that it may not; and the attestation of
// a wheel beside it.
func TestHowAFileMayBeUploaded(t *testing.T) {
	v := newVendor(t, "howspyre")
	v.sync()
	mine := v.session()
	const wheel = "whl/howspyre/torch-2.9.0+howspyre-cp312-cp312-linux_x86_64.whl"
	redirect := func(in *s3.PutObjectInput) {
		in.WebsiteRedirectLocation = aws.String("https://evil.example.com/torch.whl")
	}
	if got := put(t, mine, wheel, redirect); got != denied {
		t.Errorf("a redirect in place of a wheel: %q", got)
	}
	if got := put(t, mine, wheel); got != "" {
		t.Errorf("the wheel: %q", got)
	}
	plain := func(in *s3.PutObjectInput) { in.IfNoneMatch = nil }
	for _, c := range []struct {
		key  string
		edit []func(*s3.PutObjectInput)
		want string
	}{
		{key: wheel + ".provenance"},
		{key: wheel + ".provenance", want: "PreconditionFailed"},
		{key: wheel + ".provenance", edit: []func(*s3.PutObjectInput){plain}, want: denied},
		{key: wheel + ".metadata", want: denied},
		{key: wheel + ".provenance.whl.provenance"},
		{key: "whl/howspyre/torch/index.html", want: denied},
		{key: "whl/test/howspyre/torch-2.9.0+howspyre-cp312-cp312-linux_x86_64.whl.provenance", want: denied}, // no such channel
		{key: "whl/otherspyre/torch-2.9.0+howspyre-cp312-cp312-linux_x86_64.whl.provenance", want: denied},
		{key: "whl/howspyre/torch-2.9.0-cp312-cp312-linux_x86_64.whl.provenance", want: denied}, // no local version
		{key: "libtorch/howspyre/torch-2.9.0+howspyre-cp312-cp312-linux_x86_64.whl.provenance", want: denied},
	} {
		if got := put(t, mine, c.key, c.edit...); got != c.want {
			t.Errorf("%s: %q, want %q", c.key, got, c.want)
		}
	}
}
