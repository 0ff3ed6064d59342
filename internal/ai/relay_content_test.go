package ai

import "testing"

// TestRelay_KnowsContent: from which event on an answer that is passed on can no
// longer be tried elsewhere, and how much of it there was.
func TestRelay_KnowsContent(t *testing.T) {
	type event struct {
		data    string
		started bool
		said    int
	}
	for client, events := range map[Protocol]map[string]event{
		Messages: {
			"Start":          {`{"type":"message_start","message":{"id":"a","model":"m"}}`, false, 0},
			"NoMessage":      {`{"type":"message_start"}`, false, 0},
			"Ping":           {`{"type":"ping"}`, false, 0},
			"TextBegins":     {`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, false, 0},
			"ThoughtBegins":  {`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`, false, 0},
			"TextBeginsWith": {`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"x"}}`, true, 0},
			"ThoughtBeginsW": {`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"x"}}`, true, 0},
			"Call":           {`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"w","input":{}}}`, true, 0},
			"NoBlock":        {`{"type":"content_block_start","index":0}`, true, 0},
			"Text":           {`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"abc"}}`, true, 3},
			"Thought":        {`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"ab"}}`, true, 2},
			"Arguments":      {`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}`, true, 1},
			"NoDelta":        {`{"type":"content_block_delta","index":0}`, true, 0},
			"OddDelta":       {`{"type":"content_block_delta","index":0,"delta":7}`, true, 0},
			"Reason":         {`{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`, true, 0},
			"New":            {`{"type":"new_event"}`, false, 0},
		},
		Responses: {
			"Created":    {`{"type":"response.created","response":{"id":"a"}}`, false, 0},
			"InProgress": {`{"type":"response.in_progress","response":{"id":"a"}}`, false, 0},
			"Queued":     {`{"type":"response.queued"}`, false, 0},
			"Item":       {`{"type":"response.output_item.added","item":{"type":"message"}}`, true, 0},
			"Text":       {`{"type":"response.output_text.delta","delta":"abc"}`, true, 3},
			"Empty":      {`{"type":"response.output_text.delta","delta":""}`, true, 0},
			"Incomplete": {`{"type":"response.incomplete","response":{"id":"a","status":"incomplete"}}`, true, 0},
			"Odd":        {`{"type":"response.created","response":7}`, false, 0},
			"OddItem":    {`{"type":"response.new","response":7}`, true, 0},
		},
	} {
		if _, err := asked(t, client, clientOf(client).native, true).Stream(1).Write(nil, []byte("data: {\n\n")); err == nil {
			t.Errorf("%s: passed on what is no JSON", client)
		}
		for name, e := range events {
			t.Run(string(client)+"/"+name, func(t *testing.T) {
				s := asked(t, client, clientOf(client).native, true).Stream(1)
				got, err := s.Write(nil, []byte("data: "+e.data+"\n\n"))
				if err != nil || s.Started() != e.started || s.Said() != e.said || len(got) > 0 != e.started {
					t.Errorf("started %v, said %d, the client gets %q, %v", s.Started(), s.Said(), got, err)
				}
			})
		}
	}
}

// TestRelay_CountsBesideWhatItDoesNotKnow: the usage and the errors in an event
// that has members of types that we do not know.
func TestRelay_CountsBesideWhatItDoesNotKnow(t *testing.T) {
	s := asked(t, Messages, Anthropic, true).Stream(1)
	if _, err := s.Write(nil, []byte(`data: {"type":"message_delta","delta":7,"usage":{"output_tokens":4}}`+"\n\n")); err != nil {
		t.Fatal(err)
	}
	if u, ok := s.Usage(); !ok || u.Completion != 4 {
		t.Errorf("counted %+v", u)
	}
	_, err := s.Write(nil, []byte(`data: {"type":"error","delta":7,"error":{"type":"overloaded_error","message":"Overloaded"}}`+"\n\n"))
	if err == nil || err.Error() != "503 server_error: Overloaded" {
		t.Errorf("the error is %v", err)
	}
}
