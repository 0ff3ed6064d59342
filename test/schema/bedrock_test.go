package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/google/go-cmp/cmp"
)

// bedrockRequest reads a body into the SDK's types and has the SDK send them
// again: it refuses what lacks something, and what comes out must be what went
// in, so that nothing of it was unknown. The values of enumerations are
// compared with the SDK's lists.
func bedrockRequest(t *testing.T, body []byte) []string {
	var in bedrockruntime.ConverseInput
	if err := readConverse(body, &in); err != nil {
		return []string{err.Error()}
	}
	again, err := sentBySDK(t.Context(), &in)
	if err != nil {
		return []string{err.Error()}
	}
	var bad []string
	if diff := cmp.Diff(decode(t, body), decode(t, again), cmp.Comparer(sameNumber)); diff != "" {
		bad = append(bad, "the SDK sends -ours +theirs:\n"+diff)
	}
	return append(bad, enums(reflect.ValueOf(in), "$")...)
}

func sameNumber(a, b json.Number) bool {
	x, errX := a.Float64()
	y, errY := b.Float64()
	return errX == nil && errY == nil && x == y
}

// readConverse reads each member with the SDK's own reader. Members are
// grouped as the SDK groups them in its other types.
func readConverse(body []byte, in *bedrockruntime.ConverseInput) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return err
	}
	var tokens types.ConverseTokensRequest
	shared := map[string]json.RawMessage{}
	for name, raw := range members {
		switch name {
		case "messages", "system", "toolConfig", "additionalModelRequestFields":
			shared[name] = raw
			continue
		}
		if err := readMember(name, raw, in); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	raw, err := json.Marshal(shared)
	if err != nil {
		return err
	}
	if err := read(raw, &tokens); err != nil {
		return err
	}
	in.ModelId = aws.String("model")
	in.Messages, in.System, in.ToolConfig = tokens.Messages, tokens.System, tokens.ToolConfig
	in.AdditionalModelRequestFields = tokens.AdditionalModelRequestFields
	return nil
}

func readMember(name string, raw []byte, in *bedrockruntime.ConverseInput) error {
	switch name {
	case "inferenceConfig":
		in.InferenceConfig = &types.InferenceConfiguration{}
		return read(raw, in.InferenceConfig)
	case "outputConfig":
		in.OutputConfig = &types.OutputConfig{}
		return read(raw, in.OutputConfig)
	case "serviceTier":
		in.ServiceTier = &types.ServiceTier{}
		return read(raw, in.ServiceTier)
	case "performanceConfig":
		in.PerformanceConfig = &types.PerformanceConfiguration{}
		return read(raw, in.PerformanceConfig)
	case "guardrailConfig":
		in.GuardrailConfig = &types.GuardrailConfiguration{}
		return read(raw, in.GuardrailConfig)
	case "requestMetadata":
		return json.Unmarshal(raw, &in.RequestMetadata)
	case "additionalModelResponseFieldPaths":
		return json.Unmarshal(raw, &in.AdditionalModelResponseFieldPaths)
	}
	return errors.New("unknown member")
}

// read fills an SDK's type from JSON.
func read(raw []byte, into smithy.Deserializable) error {
	p := awsjson.New10(&smithy.ServiceSchema{Schema: smithy.NewSchema(smithy.ShapeID{}, smithy.ShapeTypeService, 0)})
	response := &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(raw))}}
	operation := &smithy.OperationSchema{Output: &smithy.Schema{}}
	return p.DeserializeResponse(context.Background(), operation, nil, response, into)
}

// errKept ends a call whose request was all that mattered.
var errKept = errors.New("kept")

type keeper struct{ body []byte }

func (k *keeper) Do(r *http.Request) (*http.Response, error) {
	var err error
	if k.body, err = io.ReadAll(r.Body); err != nil {
		return nil, err
	}
	return nil, errKept
}

// sentBySDK returns the body that the SDK makes of a request, after its own
// validation.
func sentBySDK(ctx context.Context, in *bedrockruntime.ConverseInput) ([]byte, error) {
	var kept keeper
	client := bedrockruntime.New(bedrockruntime.Options{
		Region: "eu-central-1", HTTPClient: &kept, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
	})
	if _, err := client.Converse(ctx, in); !errors.Is(err, errKept) {
		return nil, err
	}
	return kept.body, nil
}

// enums returns the values that are not in their enumeration's list.
func enums(v reflect.Value, at string) []string {
	var bad []string
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return enums(v.Elem(), at)
		}
	case reflect.Struct:
		for f, value := range v.Fields() {
			if f.IsExported() {
				bad = append(bad, enums(value, at+"."+f.Name)...)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			bad = append(bad, enums(v.Index(i), fmt.Sprintf("%s[%d]", at, i))...)
		}
	case reflect.String:
		values := v.MethodByName("Values")
		if !values.IsValid() || v.String() == "" {
			return nil
		}
		list := values.Call(nil)[0]
		for i := range list.Len() {
			if list.Index(i).String() == v.String() {
				return nil
			}
		}
		return []string{fmt.Sprintf("%s: %q is not one of %v", at, v.String(), list)}
	}
	return bad
}
