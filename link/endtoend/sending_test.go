package endtoend

import (
	"fmt"
	"sync"
	"testing"

	"heliograph/link/protocol"
)

func TestMessagesOfOneChatArriveInTheirOrder(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	var ids []string
	for i := range 50 {
		id := newID()
		ids = append(ids, id)
		g.call("send", text(id, friend, fmt.Sprintf("number %d", i)), nil)
	}
	rows := w.messages("chat_id=" + friendNumber)
	if len(rows) != len(ids) {
		t.Fatalf("%d messages arrived", len(rows))
	}
	for i, one := range rows {
		if one.MessageID != ids[i] || one.Body != fmt.Sprintf("number %d", i) {
			t.Fatalf("at %d stands %+v", i, one)
		}
	}
}

func TestASecondMessageWhileOneIsOnItsWayIsRefusedAndNotSent(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	g.call("send", text(newID(), friend, "a session exists"), nil)
	w.do("PUT", "/simulator/faults", map[string]any{"latency_ms": 1500})
	_, first := g.begin("send", text(newID(), friend, "slow"))
	g.waitFor("writing", func(f frame) bool { return f.Progress == "writing" && f.Call == g.calls })
	fail := g.fails(protocol.CodeBusy, "send", text(newID(), friend, "pushing in"))
	if fail.Sent != protocol.SentNo {
		t.Fatalf("sent: %s", fail.Sent)
	}
	if answer := <-first; !answer.OK {
		t.Fatalf("the first failed: %v", answer.Error)
	}
	if rows := w.messages("chat_id=" + friendNumber); len(rows) != 2 {
		t.Fatalf("%d messages arrived", len(rows))
	}
}

func TestALostAcknowledgementIsUnknownAndTheSameIDAgainIsShownOnce(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	w.do("PUT", "/simulator/faults", map[string]any{"drop_ack_rate": 1})
	id := newID()
	message := text(id, friend, "once")
	message.TimeoutS = 1
	if fail := g.fails(protocol.CodeAckTimeout, "send", message); fail.Sent != protocol.SentUnknown {
		t.Fatalf("sent: %s", fail.Sent)
	}
	w.do("PUT", "/simulator/faults", map[string]any{})
	g.call("send", text(id, friend, "once"), nil)
	if seen := w.message(id); seen.Transmissions != 2 || seen.Shown != 1 {
		t.Fatalf("the recipient saw %+v", seen)
	}
	g.call("send", text(newID(), friend, "and the keys still fit"), nil)
}

func TestALateAcknowledgementIsReported(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	w.do("PUT", "/simulator/faults", map[string]any{"late_ack_s": 2})
	id := newID()
	message := text(id, friend, "late")
	message.TimeoutS = 0.5
	g.fails(protocol.CodeAckTimeout, "send", message)
	if late := g.event("late_ack", id); late["ok"] != true {
		t.Fatalf("late: %v", late)
	}
}

func TestAConnectionLostBeforeOrAfterTheMessageWasTakenShowsItOnce(t *testing.T) {
	for _, fault := range []string{"close_before_store_rate", "close_after_store_rate", "lost_answer_rate"} {
		t.Run(fault, func(t *testing.T) {
			w := newWorld(t)
			g, _ := w.linked(phoneNumber)
			g.call("send", text(newID(), friend, "before"), nil)
			w.do("PUT", "/simulator/faults", map[string]any{fault: 1})
			id := newID()
			_, answer := g.begin("send", text(id, friend, "between"))
			g.event("state", `"offline"`)
			w.do("PUT", "/simulator/faults", map[string]any{})
			if f := <-answer; !f.OK {
				if f.Error.Sent != protocol.SentUnknown {
					t.Fatalf("failed with %v", f.Error)
				}
				until(t, "connected again", func() bool { return g.count("state", `"connected"`) >= 2 })
				g.call("send", text(id, friend, "between"), nil)
			}
			if seen := w.message(id); seen.Shown != 1 || seen.Body != "between" {
				t.Fatalf("the recipient saw %+v", seen)
			}
		})
	}
}

func TestAHelperKilledAfterWritingSendsTheSameIDAgainAndItIsShownOnce(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	g.call("send", text(newID(), friend, "before"), nil)
	w.do("PUT", "/simulator/faults", map[string]any{"drop_ack_rate": 1})
	id := newID()
	call, _ := g.begin("send", text(id, friend, "through the kill"))
	g.waitFor("writing", func(f frame) bool { return f.Progress == "writing" && f.Call == call })
	until(t, "the message in the journal", func() bool { return len(w.messages("chat_id="+friendNumber)) == 2 })
	g.kill()
	w.do("PUT", "/simulator/faults", map[string]any{})
	g = w.again(file)
	g.call("send", text(id, friend, "through the kill"), nil)
	if seen := w.message(id); seen.Transmissions != 2 || seen.Shown != 1 {
		t.Fatalf("the recipient saw %+v", seen)
	}
	g.call("send", text(newID(), friend, "after"), nil)
	if rows := w.messages("chat_id=" + friendNumber); len(rows) != 3 || rows[2].Body != "after" {
		t.Fatalf("the journal: %+v", rows)
	}
}

func TestAHelperKilledBeforeWritingHasSentNothing(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	message := text(newID(), friend, "")
	message.Content = protocol.Content{Type: protocol.KindDocument, Media: &protocol.Media{Mimetype: "text/plain", Filename: "long"}}
	call, _ := g.begin("send", message, fileWith(t, make([]byte, 40<<20))) // the upload takes a while
	g.kill()
	for _, f := range g.frames {
		if f.Progress == "writing" && f.Call == call {
			t.Fatal("the message was written before the kill")
		}
	}
	g = w.again(file)
	if rows := w.messages(""); len(rows) != 0 {
		t.Fatalf("the journal: %+v", rows)
	}
	g.call("send", text(message.MessageID, friend, "now"), nil)
	if seen := w.message(message.MessageID); seen.Transmissions != 1 || seen.Body != "now" {
		t.Fatalf("the recipient saw %+v", seen)
	}
}

func TestWhatTheServerRefusesIsSurelyNotSent(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	for _, one := range []struct {
		suffix, code string
		again        bool
	}{
		{"10", protocol.CodeServerUnavailable, true},
		{"13", protocol.CodeRateLimited, true},
		{"40", protocol.CodeNotOnWhatsApp, false},
		{"41", protocol.CodeBlocked, false},
		{"42", protocol.CodeBadAddress, false},
		{"45", protocol.CodeMediaRejected, false},
	} {
		id, to := newID(), "120255501"+one.suffix+"@c.us"
		fail := g.fails(one.code, "send", text(id, to, "hello"))
		if fail.Sent != protocol.SentNo {
			t.Errorf("%s: sent %s", one.suffix, fail.Sent)
		}
		if one.suffix == "13" && fail.RetryAfterS != 1 {
			t.Errorf("13 asks to wait %v s", fail.RetryAfterS)
		}
		if one.again {
			g.call("send", text(id, to, "hello"), nil)
			if seen := w.message(id); seen.Shown != 1 {
				t.Errorf("%s: %+v", one.suffix, seen)
			}
		}
	}
}

func TestATimelockRefusesNewChatsOnlyAndSaysUntilWhen(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	g.call("send", text(newID(), friend, "a known chat"), nil)
	g.fails(protocol.CodeNewChatsLimited, "send", text(newID(), "12025550143@c.us", "hello"))
	if lock := g.event("timelock"); lock["active"] != true || lock["until_s"] == nil {
		t.Fatalf("timelock: %v", lock)
	}
	g.fails(protocol.CodeNewChatsLimited, "send", text(newID(), "919000000001@c.us", "also new"))
	g.call("send", text(newID(), friend, "still goes"), nil)
}

func TestReceiptsOfTestRecipientsComeAsTheyAreKnownFor(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	played, thumb, echo, stop := newID(), newID(), newID(), newID()
	g.call("send", text(played, "12025550104@c.us", "voice"), nil)
	g.call("send", text(thumb, "12025550107@c.us", "nice"), nil)
	g.call("send", text(echo, "12025550105@c.us", "hear this"), nil)
	g.call("send", text(stop, "12025550106@c.us", "buy"), nil)
	g.event("receipt", `"played"`, played)
	g.event("message", `"reaction"`, thumb, "\U0001F44D")
	g.event("message", `"hear this"`, `"12025550105@c.us"`)
	g.event("message", `"STOP"`)
}

func TestAPhoneThatCannotDecryptGetsTheMessageAgain(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	g.call("send", text(newID(), friend, "first"), nil)
	// an answer ends the first handshake: from now on messages need the session
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": friend, "body": "answer"})
	g.event("message", `"answer"`)
	g.call("send", text(newID(), friend, "second"), nil)
	w.do("POST", "/linked/forget-sessions", map[string]any{"number": friendNumber})
	id := newID()
	g.call("send", text(id, friend, "needs a retry"), nil)
	until(t, "the retried message", func() bool {
		for _, one := range w.messages("chat_id=" + friendNumber) {
			if one.MessageID == id && one.Body == "needs a retry" {
				return true
			}
		}
		return false
	})
}

func TestTwoPhonesWriteToEachOther(t *testing.T) {
	w := newWorld(t)
	a, _ := w.linked(phoneNumber)
	b, _ := w.linked("447700900123")
	var group sync.WaitGroup
	for i := range 5 {
		group.Add(1)
		func() {
			defer group.Done()
			a.call("send", text(newID(), "447700900123@c.us", fmt.Sprintf("a to b %d", i)), nil)
			b.call("send", text(newID(), phoneNumber+"@c.us", fmt.Sprintf("b to a %d", i)), nil)
		}()
	}
	group.Wait()
	b.event("message", `"a to b 4"`, `"`+phoneNumber+`@c.us"`, `"from_me":false`)
	a.event("message", `"b to a 4"`)
}

func TestConnectionsThatCloseAtARecipientEndAsTheyAreKnownFor(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	send := func(suffix string) string {
		id, to := newID(), "120255501"+suffix+"@c.us"
		for range 4 {
			_, fail, err := g.try("send", text(id, to, "hello"))
			if err != nil {
				t.Fatal(err)
			}
			if fail == nil {
				return id
			}
			waitConnected(t, g)
		}
		t.Fatalf("%s is never taken", suffix)
		return ""
	}
	for _, suffix := range []string{"64", "65"} {
		id := send(suffix)
		g.event("receipt", `"read"`, id)
		if seen := w.message(id); seen.Shown != 1 || seen.Transmissions > 2 {
			t.Errorf("%s: the recipient saw %+v", suffix, seen)
		}
	}
	id := newID()
	fail := g.fails(protocol.CodeConnectionLost, "send", text(id, "12025550166@c.us", "hello"))
	if seen := w.message(id); fail.Sent != protocol.SentUnknown || seen.Transmissions != 1 || seen.Shown != 1 {
		t.Errorf("66: sent %s, the recipient saw %+v", fail.Sent, seen)
	}
}

func TestMessagesThatAreNotAcknowledgedAreStillInTheJournal(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	for _, suffix := range []string{"62", "63"} {
		message := text(newID(), "120255501"+suffix+"@c.us", "hello")
		message.TimeoutS = 0.5
		g.fails(protocol.CodeAckTimeout, "send", message)
		if seen := w.message(message.MessageID); seen.Ack != 0 || seen.Shown != 1 {
			t.Errorf("%s: %+v", suffix, seen)
		}
	}
}
