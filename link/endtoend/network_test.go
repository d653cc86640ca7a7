package endtoend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/link/helper"
	"heliograph/link/protocol"
	"heliograph/link/testnetwork"
)

const (
	phoneNumber  = "919876543210"
	friendNumber = "919537851844"
	friend       = friendNumber + "@c.us"
)

// world is a local WhatsApp inside the test.
type world struct {
	t       testing.TB
	network *testnetwork.Network
	url     string
	journal string
	port    int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, journal: filepath.Join(t.TempDir(), "network.db")}
	w.start()
	t.Cleanup(func() {
		if w.network != nil {
			w.network.Close()
		}
	})
	return w
}

func (w *world) start() {
	w.t.Helper()
	network, err := testnetwork.Open(w.journal)
	if err != nil {
		w.t.Fatal(err)
	}
	listener, err := testnetwork.Listen(w.port)
	if err != nil {
		w.t.Fatal(err)
	}
	w.network, w.port = network, listener.Addr().(*net.TCPAddr).Port
	w.url = fmt.Sprintf("http://127.0.0.1:%d", w.port)
	go func() { _ = network.Serve(listener) }()
}

func (w *world) stop() {
	w.network.Close()
	w.network = nil
}

func (w *world) http(method, path string, body any) (int, json.RawMessage) {
	w.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	request, err := http.NewRequest(method, w.url+path, bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, answer
}

func (w *world) do(method, path string, body any) json.RawMessage {
	w.t.Helper()
	status, answer := w.http(method, path, body)
	if status != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	return answer
}

// row is a message of the journal.
type row struct {
	MessageID     string         `json:"message_id"`
	From          string         `json:"from"`
	ChatID        string         `json:"chat_id"`
	Type          string         `json:"type"`
	Body          string         `json:"body"`
	Media         map[string]any `json:"media"`
	Poll          map[string]any `json:"poll"`
	Extra         map[string]any `json:"extra"`
	Quoted        *string        `json:"quoted_message_id"`
	ReceivedAt    string         `json:"received_at"`
	Transmissions int            `json:"transmissions"`
	Shown         int            `json:"shown"`
	Ack           int            `json:"ack"`
	Edits         int            `json:"edits"`
	Revoked       bool           `json:"revoked"`
}

func (w *world) messages(query string) []row {
	w.t.Helper()
	var rows []row
	if err := json.Unmarshal(w.do("GET", "/simulator/messages?"+query, nil), &rows); err != nil {
		w.t.Fatal(err)
	}
	return rows
}

func (w *world) message(id string) row {
	w.t.Helper()
	for _, one := range w.messages("limit=100000") {
		if one.MessageID == id {
			return one
		}
	}
	w.t.Fatalf("the journal holds no message %s", id)
	return row{}
}

// until polls a condition with a bound.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen in %s", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

func (g *gateway) open(file, url string) helper.Opened {
	g.t.Helper()
	var opened helper.Opened
	g.call("open", openArgs(file, url), &opened)
	return opened
}

// scan waits for a code and scans it with the phone of a number.
func (w *world) scan(g *gateway, number string) {
	w.t.Helper()
	shown := g.event("qr")
	w.do("POST", "/linked/scan", map[string]any{"qr": shown["code"], "number": number})
}

// linked gives a helper that is paired and connected, and its session file.
func (w *world) linked(number string) (*gateway, string) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "session.db")
	g := start(w.t)
	g.open(file, w.url)
	g.call("connect", nil, nil)
	w.scan(g, number)
	g.event("state", `"connected"`)
	return g, file
}

// again starts a helper on a session that exists.
func (w *world) again(file string) *gateway {
	w.t.Helper()
	g := start(w.t)
	opened := g.open(file, w.url)
	if !opened.Paired {
		w.t.Fatal("the session is not paired any more")
	}
	g.call("connect", nil, nil)
	g.event("state", `"connected"`)
	return g
}

var counter int

// newID is a message id as the gateway makes them.
func newID() string {
	counter++
	return fmt.Sprintf("3EB0%018X", counter+int(time.Now().UnixNano())&0xffffffff)
}

func text(id, to, body string) protocol.SendArgs {
	return protocol.SendArgs{MessageID: id, To: to, Content: protocol.Content{Type: protocol.KindText, Text: body}, TimeoutS: 10}
}

func (w *world) expectState(g *gateway, state string) helper.Opened {
	w.t.Helper()
	g.event("state", `"state":"`+state+`"`)
	var opened helper.Opened
	g.call("state", nil, &opened)
	return opened
}
