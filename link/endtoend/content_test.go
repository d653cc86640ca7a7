package endtoend

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"heliograph/link/helper"
	"heliograph/link/protocol"
)

func fileWith(t *testing.T, body []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func TestFilesOfEveryKindAreReadByTheirRecipient(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	body := bytes.Repeat([]byte("a picture is worth a thousand bytes "), 3000)
	sum := sha256.Sum256(body)
	for kind, mime := range map[string]string{
		protocol.KindImage: "image/png", protocol.KindVideo: "video/mp4", protocol.KindAudio: "audio/mpeg",
		protocol.KindVoice: "audio/ogg; codecs=opus", protocol.KindDocument: "application/pdf", protocol.KindSticker: "image/webp",
	} {
		id := newID()
		message := text(id, friend, "")
		message.Content = protocol.Content{Type: kind, Media: &protocol.Media{Mimetype: mime, Filename: "report.pdf"}}
		if kind == protocol.KindImage || kind == protocol.KindDocument {
			message.Content.Text = "see this"
		}
		g.call("send", message, nil, fileWith(t, body))
		seen := w.message(id)
		if seen.Type != kind || seen.Media["mimetype"] != mime || seen.Media["sha256"] != hex.EncodeToString(sum[:]) ||
			seen.Media["size"] != float64(len(body)) || seen.Media["error"] != nil || seen.Body != message.Content.Text {
			t.Errorf("%s: the recipient saw %+v", kind, seen)
		}
	}
}

func TestAFileFromAPersonIsDownloadedIntoTheGatewaysDescriptor(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	body := bytes.Repeat([]byte{1, 2, 3, 4}, 50_000)
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": friend, "body": "look",
		"media": map[string]any{"mimetype": "image/jpeg", "data": body}})
	said := g.event("message", `"image"`)
	if said["text"] != "look" || said["chat"] != friend {
		t.Fatalf("said: %v", said)
	}
	raw, _ := json.Marshal(said["media"].(map[string]any)["ref"])
	var ref protocol.MediaRef
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	into := fileWith(t, nil)
	var result map[string]any
	g.call("download", helper.DownloadArgs{Ref: ref}, &result, into)
	got, err := os.ReadFile(into.Name())
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("%d bytes came, %v", len(got), err)
	}
	ref.DirectPath = "/v/0000?ccb=1"
	g.fails(protocol.CodeMediaGone, "download", helper.DownloadArgs{Ref: ref}, fileWith(t, nil))
}

func TestMediaWithoutItsFileIsRefused(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	message := text(newID(), friend, "")
	message.Content = protocol.Content{Type: protocol.KindImage, Media: &protocol.Media{Mimetype: "image/png"}}
	if fail := g.fails(protocol.CodeBadArgument, "send", message); fail.Sent != protocol.SentNo {
		t.Fatalf("sent %s", fail.Sent)
	}
	g.fails(protocol.CodeMediaRejected, "send", message, fileWith(t, nil))
}

func TestAPollIsVotedOnAndTheVoteIsRead(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	id := newID()
	message := text(id, friend, "")
	message.Content = protocol.Content{Type: protocol.KindPoll, Poll: &protocol.Poll{Name: "Lunch?", Options: []string{"rice", "bread"}, Selectable: 1}}
	g.call("send", message, nil)
	g.call("send", message, nil) // sent again, as after a lost answer: the votes must stay readable
	if seen := w.message(id); seen.Type != "poll_creation" || seen.Poll["name"] != "Lunch?" || seen.Shown != 1 || seen.Transmissions != 2 {
		t.Fatalf("the recipient saw %+v", seen)
	}
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": friend, "poll_vote": map[string]any{"message_id": id, "options": []string{"bread"}}})
	vote := g.event("message", `"poll_vote"`, id)
	options, _ := vote["options"].([]any)
	if len(options) != 1 || options[0] != "bread" || vote["sender"] != friend {
		t.Fatalf("the vote: %v", vote)
	}
}

func TestPlacesContactsQuotesMentionsAndForwards(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	place := text(newID(), friend, "")
	place.Content = protocol.Content{Type: protocol.KindLocation, Location: &protocol.Location{Latitude: 12.97, Longitude: 77.59, Name: "Here"}}
	g.call("send", place, nil)
	if seen := w.message(place.MessageID); seen.Type != "location" || seen.Extra["location"].(map[string]any)["name"] != "Here" {
		t.Errorf("place: %+v", seen)
	}
	card := text(newID(), friend, "")
	card.Content = protocol.Content{Type: protocol.KindContact, Contacts: []protocol.Contact{{Name: "Ann", VCard: "BEGIN:VCARD"}, {Name: "Bob", VCard: "BEGIN:VCARD"}}}
	g.call("send", card, nil)
	if seen := w.message(card.MessageID); seen.Type != "vcard" || len(seen.Extra["contacts"].([]any)) != 2 {
		t.Errorf("cards: %+v", seen)
	}
	reply := text(newID(), friend, "indeed")
	reply.Quoted = &protocol.Quoted{MessageID: place.MessageID, Text: "Here"}
	reply.Mentions = []string{friend}
	reply.Forwarded = true
	g.call("send", reply, nil)
	seen := w.message(reply.MessageID)
	if seen.Quoted == nil || *seen.Quoted != place.MessageID || seen.Extra["forwarded"] != true || seen.Extra["mentions"] == nil {
		t.Errorf("reply: %+v", seen)
	}
}

func TestEditsRevocationsAndReactionsReachTheirTarget(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	id := newID()
	g.call("send", text(id, friend, "frist"), nil)
	edit := protocol.ChangeArgs{MessageID: newID(), To: friend, TargetID: id, Text: "first"}
	g.call("edit", edit, nil)
	g.call("edit", edit, nil)
	if seen := w.message(id); seen.Body != "first" || seen.Edits != 1 || seen.Shown != 1 {
		t.Fatalf("edited: %+v", seen)
	}
	thumb := protocol.ChangeArgs{MessageID: newID(), To: friend, TargetID: id, Emoji: "\U0001F44D"}
	g.call("react", thumb, nil)
	if seen := w.message(thumb.MessageID); seen.Type != "reaction" || seen.Body != "\U0001F44D" || seen.Quoted == nil || *seen.Quoted != id {
		t.Fatalf("reaction: %+v", seen)
	}
	g.call("revoke", protocol.ChangeArgs{MessageID: newID(), To: friend, TargetID: id}, nil)
	if seen := w.message(id); !seen.Revoked {
		t.Fatalf("revoked: %+v", seen)
	}
}

func TestWhatAPersonWritesArrivesInTheGatewaysWords(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	id := newID()
	g.call("send", text(id, friend, "hello"), nil)
	say := func(said map[string]any) {
		said["chat_id"] = friend
		w.do("POST", "/simulator/inbound", said)
	}
	say(map[string]any{"body": "hi there", "message_id": "3AHELLO01", "name": "Ann"})
	said := g.event("message", `"hi there"`)
	if said["type"] != "chat" || said["sender"] != friend || said["push_name"] != "Ann" || said["from_me"] != false ||
		said["message_id"] != "3AHELLO01" || said["chat_lid"] == nil || said["timestamp_s"] == nil {
		t.Fatalf("said: %v", said)
	}
	say(map[string]any{"body": "quoting you", "quoted_message_id": id})
	g.event("message", `"quoting you"`, `"quoted_message_id":"`+id+`"`)
	say(map[string]any{"edit": map[string]any{"message_id": "3AHELLO01", "body": "hi all"}})
	g.event("message", `"edit"`, `"target_id":"3AHELLO01"`, `"hi all"`)
	say(map[string]any{"revoke": map[string]any{"message_id": "3AHELLO01"}})
	g.event("message", `"revoke"`, `"target_id":"3AHELLO01"`)
	say(map[string]any{"reaction": map[string]any{"message_id": id, "emoji": "\u2764"}})
	g.event("message", `"reaction"`, id, "\u2764")
	say(map[string]any{"poll": map[string]any{"name": "When?", "options": []string{"now", "then"}}})
	poll := g.event("message", `"poll_creation"`, `"When?"`)
	g.call("vote", protocol.ChangeArgs{MessageID: newID(), To: friend, TargetID: poll["message_id"].(string), TargetSender: friend, Options: []string{"then"}}, nil)
	say(map[string]any{"location": map[string]any{"latitude": 1.5, "longitude": 2.5, "name": "There"}})
	g.event("message", `"location"`, `"There"`)
	say(map[string]any{"contact": map[string]any{"name": "Carol", "vcard": "BEGIN:VCARD"}})
	g.event("message", `"vcard"`, `"Carol"`)
}

func TestReadingAndTypingAreSeenByThePerson(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": friend, "body": "are you there", "message_id": "3AREAD0001"})
	g.event("message", "3AREAD0001")
	g.call("mark_read", helper.ReadArgs{Chat: friend, MessageIDs: []string{"3AREAD0001", "3AREAD0002"}}, nil)
	g.call("typing", helper.TypingArgs{Chat: friend, State: "typing"}, nil)
	g.call("typing", helper.TypingArgs{Chat: friend, State: "recording"}, nil)
	g.call("typing", helper.TypingArgs{Chat: friend, State: "paused"}, nil)
	until(t, "seen", func() bool {
		seen := string(w.do("GET", "/linked/seen", nil))
		return containsAll(seen, []string{`"what":"read"`, "3AREAD0002", `"composing"`, `"recording"`, `"paused"`, friend})
	})
}

func TestWhatThePersonWritesOnThePhoneItselfIsFromMe(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": friend, "to": phoneNumber, "from_me": true, "body": "typed on the phone"})
	said := g.event("message", `"typed on the phone"`)
	if said["from_me"] != true || said["chat"] != friend || said["sender"] != phoneNumber+"@c.us" {
		t.Fatalf("said: %v", said)
	}
}

func TestOldConversationsAreToldInShort(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	many := make([]string, 50)
	for i := range many {
		many[i] = "an old message"
	}
	chats := []map[string]any{{"chat_id": friend, "name": "Ann", "messages": []string{"first", "second"}}}
	for i := range 25 {
		chats = append(chats, map[string]any{"chat_id": fmt.Sprintf("9190000001%02d@c.us", i), "name": "Many", "messages": many})
	}
	w.do("POST", "/linked/history", map[string]any{"number": phoneNumber, "chats": chats})
	first := g.event("history", `"Ann"`)
	told := first["chats"].([]any)
	ann := told[0].(map[string]any)
	if len(told) != 20 || ann["name"] != "Ann" || len(ann["messages"].([]any)) != 2 || len(told[1].(map[string]any)["messages"].([]any)) != 20 {
		t.Fatalf("told: %d chats, %v", len(told), ann)
	}
	until(t, "the rest of the chats", func() bool { return g.count("history") == 2 })
	if n := g.count("message"); n != 0 {
		t.Fatalf("%d old messages came as new ones", n)
	}
}
