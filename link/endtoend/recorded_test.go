package endtoend

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"heliograph/link/helper"
	"heliograph/link/protocol"
	"heliograph/link/session"
)

// The frames in protocol/testdata were recorded from real sessions; the gateway's own tests read the same files.
// HELIOGRAPH_TEST_RECORD=1 go test ./endtoend -run Recorded   writes them anew.

const recordings = "../protocol/testdata"

// tapedFrame is one recorded frame. Files is how many descriptors came beside it.
type tapedFrame struct {
	From  string          `json:"from"`
	Files int             `json:"files,omitempty"`
	Frame json.RawMessage `json:"frame"`
}

type tape struct {
	lock    sync.Mutex
	frames  []tapedFrame
	replace map[string]string
}

func (t *tape) add(from string, body []byte, files int) {
	if t == nil {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	t.frames = append(t.frames, tapedFrame{from, files, slices.Clone(body)})
}

func (t *tape) save(tb testing.TB, name string) {
	tb.Helper()
	t.lock.Lock()
	defer t.lock.Unlock()
	var out bytes.Buffer
	out.WriteString("[\n")
	for i, one := range t.frames {
		line, err := json.Marshal(one)
		if err != nil {
			tb.Fatal(err)
		}
		for from, to := range t.replace {
			line = bytes.ReplaceAll(line, []byte(from), []byte(to))
		}
		out.Write(line)
		if i < len(t.frames)-1 {
			out.WriteString(",")
		}
		out.WriteString("\n")
	}
	out.WriteString("]\n")
	if err := os.WriteFile(filepath.Join(recordings, name+".json"), out.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func TestRecordedSessionsCanBeMadeAnew(t *testing.T) {
	if os.Getenv("HELIOGRAPH_TEST_RECORD") == "" {
		t.Skip("writes the recorded frames: set HELIOGRAPH_TEST_RECORD=1")
	}
	w := newWorld(t)
	folder := t.TempDir()
	begin := func() (*gateway, *tape) {
		recording := &tape{replace: map[string]string{folder: "/sessions", w.url: "http://127.0.0.1:9090", t.TempDir(): "/tmp"}}
		return startTaped(t, recording), recording
	}
	file := filepath.Join(folder, "phone.session")
	recordLinking(t, w, begin, file)
	recordSending(t, w, begin, file)
	recordInbound(t, w, begin, file)
	recordFailures(t, w, begin, file)
}

type beginner func() (*gateway, *tape)

func recordLinking(t *testing.T, w *world, begin beginner, file string) {
	g, recording := begin()
	args := helper.OpenArgs{Store: session.Args{File: file}, LocalURL: w.url, ConfirmEvents: true, System: "Linux", ExpectNumber: phoneNumber}
	w.do("POST", "/linked/passkey", map[string]any{"number": phoneNumber})
	g.call("open", args, nil)
	g.call("connect", nil, nil)
	g.event("qr")
	g.call("qr", nil, nil)
	g.call("pair_code", helper.PairCodeArgs{Number: phoneNumber, Name: "Chrome (Linux)"}, nil)
	w.scan(g, phoneNumber)
	challenge := g.event("passkey_wanted")["public_key"].(map[string]any)["challenge"].(string)
	said, _ := json.Marshal(map[string]any{"type": "webauthn.get", "challenge": challenge})
	encode := base64.RawURLEncoding.EncodeToString
	answer, _ := json.Marshal(map[string]any{"id": "bG9jYWw", "rawId": "bG9jYWw", "type": "public-key", "response": map[string]any{
		"clientDataJSON": encode(said), "authenticatorData": "ZGF0YQ", "signature": "c2lnbmF0dXJl", "userHandle": nil}})
	g.call("passkey_answer", helper.PasskeyAnswerArgs{Response: answer}, nil)
	w.expectState(g, helper.StateConnected)
	g.fails(protocol.CodeInternal, "passkey_confirm", nil)
	g.call("ping", nil, nil)
	g.call("close", nil, nil)
	g.exitCode()
	recording.save(t, "linking")
}

func (g *gateway) reopen(t *testing.T, w *world, file string) {
	t.Helper()
	g.open(file, w.url)
	g.call("connect", nil, nil)
	w.expectState(g, helper.StateConnected)
}

func recordSending(t *testing.T, w *world, begin beginner, file string) {
	g, recording := begin()
	g.reopen(t, w, file)
	g.call("check", helper.PeopleArgs{Numbers: []string{friendNumber, "12025550140"}}, nil)
	g.call("resolve", helper.PeopleArgs{Numbers: []string{friendNumber}, LIDs: []string{"10000000000000@lid"}}, nil)
	g.call("typing", helper.TypingArgs{Chat: friend, State: "typing"}, nil)
	id := newID()
	g.call("send", text(id, friend, "good morning"), nil)
	g.event("receipt", `"read"`, id)
	reply := text(newID(), friend, "a reply")
	reply.Quoted, reply.Mentions, reply.Forwarded = &protocol.Quoted{MessageID: id, Text: "good morning"}, []string{friend}, true
	g.call("send", reply, nil)
	image := text(newID(), friend, "")
	image.Content = protocol.Content{Type: protocol.KindImage, Text: "caption", Media: &protocol.Media{Mimetype: "image/png", Width: 4, Height: 3}}
	g.call("send", image, nil, fileWith(t, []byte("not really a picture")))
	poll := text(newID(), friend, "")
	poll.Content = protocol.Content{Type: protocol.KindPoll, Poll: &protocol.Poll{Name: "Lunch?", Options: []string{"rice", "bread"}, Selectable: 1}}
	g.call("send", poll, nil)
	place := text(newID(), friend, "")
	place.Content = protocol.Content{Type: protocol.KindLocation, Location: &protocol.Location{Latitude: 12.97, Longitude: 77.59, Name: "Here"}}
	g.call("send", place, nil)
	card := text(newID(), friend, "")
	card.Content = protocol.Content{Type: protocol.KindContact, Contacts: []protocol.Contact{{Name: "Ann", VCard: "BEGIN:VCARD\nEND:VCARD"}}}
	g.call("send", card, nil)
	g.call("edit", protocol.ChangeArgs{MessageID: newID(), To: friend, TargetID: id, Text: "good evening"}, nil)
	g.call("react", protocol.ChangeArgs{MessageID: newID(), To: friend, TargetID: id, Emoji: "\U0001F44D"}, nil)
	g.call("revoke", protocol.ChangeArgs{MessageID: newID(), To: friend, TargetID: id}, nil)
	var made struct {
		Group string `json:"group"`
	}
	g.call("group_create", helper.GroupArgs{Subject: "Lunch", People: []string{friend}}, &made)
	g.call("groups", nil, nil)
	g.call("group_subject", helper.GroupArgs{Group: made.Group, Subject: "Dinner"}, nil)
	g.call("group_people", helper.GroupArgs{Group: made.Group, Action: "add", People: []string{"447700900123"}}, nil)
	g.event("group", `"joined"`)
	g.call("group", helper.GroupArgs{Group: made.Group}, nil)
	g.call("send", text(newID(), made.Group, "where?"), nil)
	g.call("group_leave", helper.GroupArgs{Group: made.Group}, nil)
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": friend, "poll_vote": map[string]any{"message_id": poll.MessageID, "options": []string{"bread"}}})
	g.event("message", `"poll_vote"`)
	g.call("close", nil, nil)
	g.exitCode()
	recording.save(t, "sending")
}

func recordInbound(t *testing.T, w *world, begin beginner, file string) {
	g, recording := begin()
	g.reopen(t, w, file)
	say := func(said map[string]any, fits ...string) map[string]any {
		said["chat_id"] = friend
		w.do("POST", "/simulator/inbound", said)
		return g.event("message", fits...)
	}
	say(map[string]any{"body": "hi there", "message_id": "3AHELLO01", "name": "Ann"}, `"hi there"`)
	say(map[string]any{"edit": map[string]any{"message_id": "3AHELLO01", "body": "hi all"}}, `"edit"`)
	say(map[string]any{"revoke": map[string]any{"message_id": "3AHELLO01"}}, `"revoke"`)
	say(map[string]any{"reaction": map[string]any{"message_id": "3EB0AAAA", "emoji": "\u2764"}}, `"reaction"`)
	poll := say(map[string]any{"poll": map[string]any{"name": "When?", "options": []string{"now", "then"}}}, `"When?"`)
	g.call("vote", protocol.ChangeArgs{MessageID: newID(), To: friend, TargetID: poll["message_id"].(string), TargetSender: friend, Options: []string{"then"}}, nil)
	image := say(map[string]any{"body": "look", "media": map[string]any{"mimetype": "image/jpeg"}}, `"image"`)
	raw, _ := json.Marshal(image["media"].(map[string]any)["ref"])
	var ref protocol.MediaRef
	_ = json.Unmarshal(raw, &ref)
	g.call("download", helper.DownloadArgs{Ref: ref}, nil, fileWith(t, nil))
	say(map[string]any{"location": map[string]any{"latitude": 1.5, "longitude": 2.5, "name": "There"}}, `"There"`)
	say(map[string]any{"contact": map[string]any{"name": "Carol", "vcard": "BEGIN:VCARD"}}, `"Carol"`)
	g.call("mark_read", helper.ReadArgs{Chat: friend, MessageIDs: []string{"3AHELLO01"}}, nil)
	g.call("close", nil, nil)
	g.exitCode()
	recording.save(t, "inbound")
}

func recordFailures(t *testing.T, w *world, begin beginner, file string) {
	g, recording := begin()
	g.fails(protocol.CodeNotOpen, "connect", nil)
	g.reopen(t, w, file)
	g.fails(protocol.CodeAlreadyOpen, "open", openArgs(file, w.url))
	g.fails(protocol.CodeUnknownVerb, "dance", nil)
	g.fails(protocol.CodeNotOnWhatsApp, "send", text(newID(), "12025550140@c.us", "x"))
	g.fails(protocol.CodeRateLimited, "send", text(newID(), "12025550113@c.us", "x"))
	g.fails(protocol.CodeNewChatsLimited, "send", text(newID(), "12025550143@c.us", "x"))
	g.event("timelock")
	w.do("PUT", "/simulator/faults", map[string]any{"late_ack_s": 1})
	late := text(newID(), friend, "late")
	late.TimeoutS = 0.3
	g.fails(protocol.CodeAckTimeout, "send", late)
	g.event("late_ack")
	w.do("PUT", "/simulator/faults", map[string]any{})
	w.stop()
	g.event("state", `"offline"`)
	g.fails(protocol.CodeNotConnected, "send", text(newID(), friend, "x"))
	g.event("reconnect_failed")
	w.start()
	until(t, "connected again", func() bool { return g.count("state", `"connected"`) == 2 })
	g.call("logout", nil, nil)
	g.event("state", `"logged_out"`)
	_ = g.conn.WriteRaw(frameOf(`{"v": 2, "call": 1, "verb": "ping"}`))
	g.event("fatal")
	g.exitCode()
	recording.save(t, "failures")
}

// verbArgs are the arguments of each verb; nil: none.
var verbArgs = map[string]func() any{
	"open": func() any { return &helper.OpenArgs{} }, "connect": nil, "state": nil, "qr": nil, "ping": nil, "close": nil, "logout": nil,
	"pair_code":      func() any { return &helper.PairCodeArgs{} },
	"passkey_answer": func() any { return &helper.PasskeyAnswerArgs{} }, "passkey_confirm": nil,
	"send": func() any { return &protocol.SendArgs{} }, "edit": changeArgs, "revoke": changeArgs, "react": changeArgs, "vote": changeArgs,
	"download": func() any { return &helper.DownloadArgs{} }, "mark_read": func() any { return &helper.ReadArgs{} },
	"typing": func() any { return &helper.TypingArgs{} }, "check": peopleArgs, "resolve": peopleArgs,
	"groups": nil, "group": groupArgs, "group_create": groupArgs, "group_people": groupArgs, "group_subject": groupArgs, "group_leave": groupArgs,
}

func changeArgs() any { return &protocol.ChangeArgs{} }
func peopleArgs() any { return &helper.PeopleArgs{} }
func groupArgs() any  { return &helper.GroupArgs{} }

func recorded(t *testing.T) map[string][]tapedFrame {
	t.Helper()
	out := map[string][]tapedFrame{}
	for _, name := range []string{"linking", "sending", "inbound", "failures"} {
		body, err := os.ReadFile(filepath.Join(recordings, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var frames []tapedFrame
		if err = json.Unmarshal(body, &frames); err != nil {
			t.Fatal(err)
		}
		out[name] = frames
	}
	return out
}

func TestRecordedFramesOfTheGatewayAreUnderstood(t *testing.T) {
	left := maps.Clone(verbArgs)
	for name, frames := range recorded(t) {
		for i, one := range frames {
			if one.From != "gateway" {
				continue
			}
			request, fail := protocol.ParseRequest(one.Frame)
			if fail != nil {
				t.Errorf("%s %d: %v", name, i, fail)
				continue
			}
			delete(left, request.Verb)
			if make := verbArgs[request.Verb]; make != nil {
				if fail = protocol.Decode(request.Args, make()); fail != nil {
					t.Errorf("%s %d: %s: %v", name, i, request.Verb, fail)
				}
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("no frame is recorded for %v", slices.Sorted(maps.Keys(left)))
	}
}

func TestRecordedFramesOfTheHelperFollowTheProtocol(t *testing.T) {
	events := map[string]bool{}
	for name, frames := range recorded(t) {
		open := map[uint64]string{}
		confirmed, asked := map[uint64]bool{}, map[uint64]bool{}
		for i, one := range frames {
			var f frame
			if err := json.Unmarshal(one.Frame, &f); err != nil {
				t.Fatalf("%s %d: %v", name, i, err)
			}
			var request protocol.Request
			_ = json.Unmarshal(one.Frame, &request)
			switch {
			case one.From == "gateway" && request.Confirm != 0:
				confirmed[request.Confirm] = true
			case one.From == "gateway":
				open[request.Call] = request.Verb
			case f.Event != "":
				events[f.Event] = true
				asked[f.No] = asked[f.No] || f.No != 0
			case f.Progress != "":
				if open[f.Call] == "" {
					t.Errorf("%s %d: progress of no call", name, i)
				}
			default:
				if open[f.Call] == "" || (f.OK == (f.Error != nil)) {
					t.Errorf("%s %d: %s answers nothing, or is neither right nor wrong", name, i, one.Frame)
				}
				delete(open, f.Call)
			}
		}
		if len(open) > 0 {
			t.Errorf("%s: not answered: %v", name, open)
		}
		delete(asked, 0)
		for no := range asked {
			if !confirmed[no] {
				t.Errorf("%s: event %d was not confirmed", name, no)
			}
		}
	}
	for _, event := range strings.Fields("hello state qr passkey_wanted paired receipt message group timelock late_ack reconnect_failed fatal") {
		if !events[event] {
			t.Errorf("the event %s is not recorded", event)
		}
	}
}
