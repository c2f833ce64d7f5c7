package s3

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// maxListing bounds one answer to a listing, in bytes. 1,000 entries with keys
// of 1,024 bytes, each written as three, are less than half of it.
const maxListing = 8 << 20

// entryOrder remembers in which order versions and delete markers stood in one
// answer. S3 sends them interleaved, newest first; the SDK sorts them into two
// lists, and times of one second's resolution cannot put them together again.
type entryOrder struct {
	// isMarker has one element for each entry of the answer.
	isMarker []bool
}

// capture is an option of one ListObjectVersions call.
func (e *entryOrder) capture(o *awss3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Deserialize.Insert(middleware.DeserializeMiddlewareFunc("EntryOrder", e.read),
			"OperationDeserializer", middleware.After)
	})
}

func (e *entryOrder) read(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	response, isHTTP := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !isHTTP || response.StatusCode != 200 {
		return out, metadata, err
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxListing+1))
	_ = response.Body.Close()
	if err != nil {
		return out, metadata, fmt.Errorf("reading the listing: %w", err)
	}
	if len(data) > maxListing {
		return out, metadata, fmt.Errorf("the listing has more than %d bytes", maxListing)
	}
	response.Body = io.NopCloser(bytes.NewReader(data))
	e.isMarker, err = entryKinds(data)
	return out, metadata, err
}

// entryKinds reads from a ListVersionsResult which of its entries, in order,
// are delete markers.
func entryKinds(listing []byte) ([]bool, error) {
	var kinds []bool
	decoder := xml.NewDecoder(bytes.NewReader(listing))
	for depth := 0; ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return kinds, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the listing: %w", err)
		}
		switch element := token.(type) {
		case xml.StartElement:
			if depth == 1 && (element.Name.Local == "Version" || element.Name.Local == "DeleteMarker") {
				kinds = append(kinds, element.Name.Local == "DeleteMarker")
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
}

// merge puts the two lists together in the order of the answer. A server that
// sends all markers apart from all versions is put right as far as its times
// tell.
func (e *entryOrder) merge(versions, markers []objectstore.Version) ([]objectstore.Version, error) {
	page := make([]objectstore.Version, 0, len(e.isMarker))
	for _, marker := range e.isMarker {
		from := &versions
		if marker {
			from = &markers
		}
		if len(*from) == 0 {
			return nil, errors.New("the listing changed while it was read")
		}
		page = append(page, (*from)[0])
		*from = (*from)[1:]
	}
	if len(versions)+len(markers) > 0 {
		return nil, errors.New("the listing changed while it was read")
	}
	slices.SortStableFunc(page, func(a, b objectstore.Version) int {
		return cmp.Or(
			strings.Compare(a.Key, b.Key),
			cmp.Compare(rank(a), rank(b)),
			b.LastModified.Compare(a.LastModified),
		)
	})
	return page, nil
}

// rank puts the latest version of a key first.
func rank(v objectstore.Version) int {
	if v.Latest {
		return 0
	}
	return 1
}
