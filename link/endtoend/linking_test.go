package endtoend

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/link/helper"
	"heliograph/link/protocol"
)

func TestAPairingCodeThatIsTypedLinksThePhone(t *testing.T) {
	w := newWorld(t)
	g := start(t)
	g.open(filepath.Join(t.TempDir(), "session.db"), w.url)
	g.fails(protocol.CodeNotConnected, "pair_code", helper.PairCodeArgs{Number: phoneNumber})
	g.call("connect", nil, nil)
	g.event("qr")
	g.fails(protocol.CodeBadArgument, "pair_code", helper.PairCodeArgs{Number: phoneNumber, Name: "Heliograph"})
	var shown map[string]string
	g.call("pair_code", helper.PairCodeArgs{Number: phoneNumber}, &shown)
	if len(shown["code"]) != 9 || shown["code"][4] != '-' {
		t.Fatalf("code: %v", shown)
	}
	w.do("POST", "/linked/code", map[string]any{"number": phoneNumber, "code": shown["code"]})
	if opened := w.expectState(g, helper.StateConnected); opened.Number != phoneNumber {
		t.Fatalf("linked as %+v", opened)
	}
	g.call("send", text(newID(), friend, "by code"), nil)
}

func TestAPasskeyIsAskedForAndAnswered(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/linked/passkey", map[string]any{"number": phoneNumber, "confirm": false})
	g := start(t)
	g.open(filepath.Join(t.TempDir(), "session.db"), w.url)
	g.call("connect", nil, nil)
	w.scan(g, phoneNumber)
	w.expectState(g, helper.StatePasskeyWanted)
	wanted := g.event("passkey_wanted")
	challenge := wanted["public_key"].(map[string]any)["challenge"].(string)
	said, _ := json.Marshal(map[string]any{"type": "webauthn.get", "challenge": challenge, "origin": "https://web.whatsapp.com"})
	encode := base64.RawURLEncoding.EncodeToString
	answer, _ := json.Marshal(map[string]any{"id": "bG9jYWw", "rawId": "bG9jYWw", "type": "public-key", "response": map[string]any{
		"clientDataJSON": encode(said), "authenticatorData": encode([]byte("data")), "signature": encode([]byte("signature")), "userHandle": nil,
	}})
	g.call("passkey_answer", helper.PasskeyAnswerArgs{Response: answer}, nil)
	w.expectState(g, helper.StateConnected)
	g.call("send", text(newID(), friend, "with a passkey"), nil)
}

func TestACodeOfAnotherDeviceCannotBeScanned(t *testing.T) {
	w := newWorld(t)
	g := start(t)
	g.open(filepath.Join(t.TempDir(), "session.db"), w.url)
	g.call("connect", nil, nil)
	shown := g.event("qr")
	parts := strings.Split(shown["code"].(string), ",")
	parts[2] = base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, code := range []string{"nonsense", strings.Join(parts, ","), strings.Replace(shown["code"].(string), "2@", "3@", 1)} {
		if status, _ := w.http("POST", "/linked/scan", map[string]any{"qr": code, "number": phoneNumber}); status != 404 {
			t.Errorf("scanning %q gives %d", code, status)
		}
	}
	var now helper.QRCode
	g.call("qr", nil, &now)
	if now.Code != shown["code"] || now.Left != 5 {
		t.Fatalf("now: %+v", now)
	}
	w.scan(g, phoneNumber)
	w.expectState(g, helper.StateConnected)
	g.fails(protocol.CodeAlreadyPaired, "pair_code", helper.PairCodeArgs{Number: phoneNumber})
}

func TestNumbersAreCheckedAndResolved(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	var found struct {
		People []map[string]any `json:"people"`
	}
	g.call("check", helper.PeopleArgs{Numbers: []string{friendNumber, "12025550140"}}, &found)
	if len(found.People) != 2 || found.People[0]["on_whatsapp"] != true || found.People[0]["chat"] != friend ||
		!strings.HasSuffix(found.People[0]["lid"].(string), "@lid") || found.People[1]["on_whatsapp"] != false {
		t.Fatalf("check: %v", found)
	}
	lid := found.People[0]["lid"].(string)
	found.People = nil
	g.call("resolve", helper.PeopleArgs{LIDs: []string{lid}, Numbers: []string{"919000000002"}}, &found)
	if found.People[0]["chat"] != friend || found.People[1]["lid"] == nil {
		t.Fatalf("resolve: %v", found)
	}
	id := newID()
	var taken protocol.Taken
	g.call("send", text(id, lid, "to the hidden id"), &taken)
	if taken.Chat != friend || taken.ChatLID != lid || w.message(id).ChatID != friend {
		t.Fatalf("taken: %+v", taken)
	}
}

func TestAMessageFromAHiddenIDWithoutANumberNamesTheID(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": "919000000003@c.us", "body": "who am I", "without_number": true})
	said := g.event("message", `"who am I"`)
	if chat := said["chat"].(string); !strings.HasSuffix(chat, "@lid") || said["chat_lid"] != chat {
		t.Fatalf("said: %v", said)
	}
	g.call("send", text(newID(), said["chat"].(string), "hello, stranger"), nil)
	if rows := w.messages("chat_id=919000000003"); len(rows) != 1 {
		t.Fatalf("the journal: %+v", rows)
	}
}

func TestCodesFollowEachOtherAndAfterTheLastConnectBringsNewOnes(t *testing.T) {
	t.Setenv("LINK_TEST_CODE_MS", "200")
	w := newWorld(t)
	g := start(t)
	g.open(filepath.Join(t.TempDir(), "session.db"), w.url)
	g.call("connect", nil, nil)
	g.event("state", `"offline"`, protocol.CodeNotPaired)
	if n := g.count("qr"); n != 6 {
		t.Fatalf("%d codes were shown", n)
	}
	g.fails(protocol.CodeNotConnected, "qr", nil)
	g.call("connect", nil, nil)
	until(t, "a new code", func() bool { return g.count("qr") > 6 })
	var now helper.QRCode
	g.call("qr", nil, &now)
	w.do("POST", "/linked/scan", map[string]any{"qr": now.Code, "number": phoneNumber})
	w.expectState(g, helper.StateConnected)
}
