package cdn

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dop251/goja"
)

const (
	// maxFunctionBytes is CloudFront's limit for a function's code.
	maxFunctionBytes = 10 << 10
	// functionTimeout ends a function that does not return. CloudFront allows
	// about a millisecond; a busy machine may need longer.
	functionTimeout = time.Second
)

// Functions are the CloudFront functions of a distribution, run from the very
// files that are deployed. The zero value runs none.
type Functions struct {
	viewerRequest, viewerResponse *script
}

// LoadFunctions reads the two functions of a distribution.
func LoadFunctions(viewerRequest, viewerResponse string) (f Functions, err error) {
	if f.viewerRequest, err = loadScript(viewerRequest); err != nil {
		return Functions{}, err
	}
	f.viewerResponse, err = loadScript(viewerResponse)
	return f, err
}

// generated is an answer that a viewer-request function gives itself.
type generated struct {
	status int
	header http.Header
}

// functionHeaders is how functions see headers: by name in lower case, with all
// lines where there are several.
type functionHeaders map[string]functionHeader

type functionHeader struct {
	Value      string           `json:"value"`
	MultiValue []functionHeader `json:"multiValue,omitempty"`
}

func toFunction(h http.Header) functionHeaders {
	out := functionHeaders{}
	for name, lines := range h {
		if len(lines) == 0 {
			continue
		}
		header := functionHeader{Value: lines[0]}
		if len(lines) > 1 {
			for _, line := range lines {
				header.MultiValue = append(header.MultiValue, functionHeader{Value: line})
			}
		}
		out[strings.ToLower(name)] = header
	}
	return out
}

func fromFunction(h functionHeaders) http.Header {
	out := http.Header{}
	for name, header := range h {
		if len(header.MultiValue) == 0 {
			out.Set(name, header.Value)
		}
		for _, line := range header.MultiValue {
			out.Add(name, line.Value)
		}
	}
	return out
}

type functionRequest struct {
	Method      string          `json:"method"`
	URI         string          `json:"uri"`
	QueryString map[string]any  `json:"querystring"`
	Headers     functionHeaders `json:"headers"`
	Cookies     map[string]any  `json:"cookies"`
}

func newFunctionRequest(r *http.Request, uri string) functionRequest {
	return functionRequest{
		Method: r.Method, URI: uri, Headers: toFunction(r.Header),
		QueryString: map[string]any{}, Cookies: map[string]any{}, // neither is forwarded here
	}
}

type functionResponse struct {
	StatusCode int             `json:"statusCode"`
	Headers    functionHeaders `json:"headers"`
}

type functionEvent struct {
	Version  string            `json:"version"`
	Context  map[string]string `json:"context"`
	Request  functionRequest   `json:"request"`
	Response *functionResponse `json:"response,omitempty"`
}

// onRequest returns the path to serve, or an answer in its place.
func (f Functions) onRequest(r *http.Request, path string) (string, *generated, error) {
	if f.viewerRequest == nil {
		return path, nil, nil
	}
	var result struct {
		functionResponse
		URI string `json:"uri"`
	}
	event := functionEvent{Version: "1.0", Context: map[string]string{"eventType": "viewer-request"}, Request: newFunctionRequest(r, path)}
	if err := f.viewerRequest.call(event, &result); err != nil {
		return "", nil, err
	}
	if result.StatusCode != 0 {
		return "", &generated{status: result.StatusCode, header: fromFunction(result.Headers)}, nil
	}
	return result.URI, nil, nil
}

// onResponse lets the viewer-response function change headers. As in
// CloudFront it does not see errors of the origin.
func (f Functions) onResponse(r *http.Request, path string, status int, header http.Header) (http.Header, error) {
	if f.viewerResponse == nil || status >= http.StatusBadRequest {
		return header, nil
	}
	event := functionEvent{
		Version: "1.0", Context: map[string]string{"eventType": "viewer-response"}, Request: newFunctionRequest(r, path),
		Response: &functionResponse{StatusCode: status, Headers: toFunction(header)},
	}
	var result functionResponse
	if err := f.viewerResponse.call(event, &result); err != nil {
		return nil, err
	}
	return fromFunction(result.Headers), nil
}

// script is one function's file, loaded. It runs one event at a time.
type script struct {
	path string

	mu                        sync.Mutex
	vm                        *goja.Runtime
	handler, parse, stringify goja.Callable
}

func loadScript(path string) (*script, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the CloudFront function: %w", err)
	}
	if len(source) > maxFunctionBytes {
		return nil, fmt.Errorf("CloudFront function %s: %d bytes, CloudFront takes at most %d", path, len(source), maxFunctionBytes)
	}
	s := &script{path: path, vm: goja.New()}
	if _, err := s.vm.RunScript(path, string(source)); err != nil {
		return nil, fmt.Errorf("CloudFront function %s: %w", path, err)
	}
	var ok1, ok2, ok3 bool
	s.handler, ok1 = goja.AssertFunction(s.vm.Get("handler"))
	jsonObject := s.vm.Get("JSON").ToObject(s.vm)
	s.parse, ok2 = goja.AssertFunction(jsonObject.Get("parse"))
	s.stringify, ok3 = goja.AssertFunction(jsonObject.Get("stringify"))
	if !ok1 || !ok2 || !ok3 {
		return nil, fmt.Errorf("CloudFront function %s defines no function handler(event)", path)
	}
	return s, nil
}

// call runs the function. Event and result cross over as JSON, so that the
// function sees nothing of Go.
func (s *script) call(event, result any) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("CloudFront function %s: %w", s.path, err)
		}
	}()
	raw, err := json.Marshal(event)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	timer := time.AfterFunc(functionTimeout, func() { s.vm.Interrupt("it does not return") })
	defer func() {
		timer.Stop()
		s.vm.ClearInterrupt()
	}()
	argument, err := s.parse(goja.Undefined(), s.vm.ToValue(string(raw)))
	if err != nil {
		return err
	}
	returned, err := s.handler(goja.Undefined(), argument)
	if err != nil {
		return err
	}
	text, err := s.stringify(goja.Undefined(), returned)
	if err != nil {
		return err
	}
	if goja.IsUndefined(text) {
		return errors.New("it returned nothing")
	}
	return json.Unmarshal([]byte(text.String()), result)
}
