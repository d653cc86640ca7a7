package endtoend

import (
	"strings"
	"testing"

	"heliograph/link/helper"
	"heliograph/link/protocol"
)

func TestAMessageToATestGroupIsReadByItsMembers(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	group := "120363000000000100@g.us"
	first, second := newID(), newID()
	g.call("send", text(first, group, "hello all"), nil)
	g.call("send", text(second, group, "again"), nil)
	if seen := w.message(first); seen.Body != "hello all" || seen.ChatID != group || seen.Shown != 1 {
		t.Fatalf("the members saw %+v", seen)
	}
	if seen := w.message(second); seen.Body != "again" {
		t.Fatalf("the members saw %+v", seen)
	}
	for _, member := range []string{"12025550201@c.us", "12025550202@c.us", "12025550203@c.us"} {
		g.event("receipt", `"read"`, first, member, group)
	}
}

func TestAGroupIsMadeListedChangedAndLeft(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	var made struct {
		Group   string           `json:"group"`
		Subject string           `json:"subject"`
		Size    int              `json:"size"`
		People  []map[string]any `json:"people"`
	}
	g.call("group_create", helper.GroupArgs{Subject: "Lunch", People: []string{friend, "447700900123@c.us"}}, &made)
	if made.Subject != "Lunch" || made.Size != 3 || len(made.People) != 3 {
		t.Fatalf("made: %+v", made)
	}
	var list struct {
		Groups []map[string]any `json:"groups"`
	}
	g.call("groups", nil, &list)
	if len(list.Groups) != 1 || list.Groups[0]["group"] != made.Group {
		t.Fatalf("list: %v", list)
	}
	g.call("group_subject", helper.GroupArgs{Group: made.Group, Subject: "Dinner"}, nil)
	g.event("group", `"Dinner"`)
	g.call("group_people", helper.GroupArgs{Group: made.Group, Action: "add", People: []string{"447700900124"}}, nil)
	g.event("group", `"joined"`, "447700900124@c.us")
	g.call("group_people", helper.GroupArgs{Group: made.Group, Action: "remove", People: []string{"447700900123"}}, nil)
	g.call("group", helper.GroupArgs{Group: made.Group}, &made)
	if made.Subject != "Dinner" || made.Size != 3 {
		t.Fatalf("now: %+v", made)
	}
	id := newID()
	g.call("send", text(id, made.Group, "where?"), nil)
	if seen := w.message(id); seen.Body != "where?" {
		t.Fatalf("the members saw %+v", seen)
	}
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": made.Group, "author": friendNumber, "body": "at home"})
	said := g.event("message", `"at home"`)
	if said["chat"] != made.Group || said["sender"] != friend {
		t.Fatalf("said: %v", said)
	}
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": made.Group, "author": friendNumber, "body": "at eight"})
	g.event("message", `"at eight"`)
	g.call("mark_read", helper.ReadArgs{Chat: made.Group, Sender: friend, MessageIDs: []string{said["message_id"].(string)}}, nil)
	g.fails(protocol.CodeBadArgument, "mark_read", helper.ReadArgs{Chat: made.Group, MessageIDs: []string{"3AXXXX"}})
	g.call("group_leave", helper.GroupArgs{Group: made.Group}, nil)
	g.fails(protocol.CodeNotInGroup, "group", helper.GroupArgs{Group: made.Group})
}

func TestAGroupThatDoesNotExistIsNamedAsSuch(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	unknown := "120363999999999999@g.us"
	g.fails(protocol.CodeNoSuchGroup, "group", helper.GroupArgs{Group: unknown})
	if fail := g.fails(protocol.CodeNoSuchGroup, "send", text(newID(), unknown, "x")); fail.Sent != protocol.SentNo {
		t.Fatalf("sent %s", fail.Sent)
	}
	for _, bad := range []string{"", friend, strings.Repeat("9", 400)} {
		g.fails(protocol.CodeBadAddress, "group", helper.GroupArgs{Group: bad})
	}
}
