package endtoend

import (
	"testing"

	"heliograph/link/protocol"
)

func TestAFirstMessageIsReadByItsRecipientAfterAScan(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	id := newID()
	var taken protocol.Taken
	g.call("send", text(id, friend, "good morning"), &taken)
	if taken.MessageID != id || taken.Chat != friend || taken.TimestampS == 0 {
		t.Fatalf("taken: %+v", taken)
	}
	if g.waitFor("writing", func(f frame) bool { return f.Progress == "writing" }).Call == 0 {
		t.Fatal("writing names no call")
	}
	read := w.message(id)
	if read.Body != "good morning" || read.From != phoneNumber || read.ChatID != friend || read.Type != "chat" ||
		read.Transmissions != 1 || read.Shown != 1 {
		t.Fatalf("the recipient saw %+v", read)
	}
	g.event("receipt", `"delivered"`, id, friend)
	g.event("receipt", `"read"`, id)
	until(t, "read in the journal", func() bool { return w.message(id).Ack == 3 })
}
