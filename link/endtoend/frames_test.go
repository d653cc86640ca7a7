package endtoend

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/link/helper"
	"heliograph/link/protocol"
)

func TestTheFirstFrameSaysWhoIsThere(t *testing.T) {
	g := start(t)
	hello := g.event("hello")
	if hello["protocol"] != float64(protocol.Version) || hello["build"] != "local" || hello["library"] == "unknown" ||
		int(hello["pid"].(float64)) != g.process.Process.Pid {
		t.Fatalf("hello: %v", hello)
	}
}

func TestGarbageFromTheGatewayEndsTheHelperWithAReason(t *testing.T) {
	long := binary.BigEndian.AppendUint32(nil, protocol.MaxFrame+1)
	for name, c := range map[string]struct {
		bytes []byte
		code  int
		word  string
	}{
		"no JSON":             {frameOf("this is not JSON"), helper.ExitBadFrame, protocol.CodeBadFrame},
		"another shape":       {frameOf(`[1, 2]`), helper.ExitBadFrame, protocol.CodeBadFrame},
		"no verb":             {frameOf(`{"v": 1, "call": 7}`), helper.ExitBadFrame, protocol.CodeBadFrame},
		"no call":             {frameOf(`{"v": 1, "verb": "ping"}`), helper.ExitBadFrame, protocol.CodeBadFrame},
		"larger than allowed": {append(long, 'x'), helper.ExitBadFrame, protocol.CodeBadFrame},
		"an empty body":       {[]byte{0, 0, 0, 0}, helper.ExitBadFrame, protocol.CodeBadFrame},
		"HTTP":                {[]byte("GET / HTTP/1.1\r\n\r\n"), helper.ExitBadFrame, protocol.CodeBadFrame},
		"another version":     {frameOf(`{"v": 2, "call": 1, "verb": "ping"}`), helper.ExitBadVersion, protocol.CodeBadVersion},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t)
			g.event("hello")
			if err := g.conn.WriteRaw(c.bytes); err != nil {
				t.Fatal(err)
			}
			g.event("fatal", c.word)
			if code := g.exitCode(); code != c.code {
				t.Fatalf("it ended with %d", code)
			}
		})
	}
}

func frameOf(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestTheSocketMayBeOnAnotherDescriptor(t *testing.T) {
	t.Setenv("LINK_FD", "4")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	g := startWith(t, nil, null)
	g.event("hello")
	g.call("ping", nil, nil)
}

func TestWrongCallsAreAnsweredAndChangeNothing(t *testing.T) {
	w := newWorld(t)
	g := start(t)
	g.fails(protocol.CodeNotOpen, "connect", nil)
	g.fails(protocol.CodeNotOpen, "no such verb", nil)
	g.fails(protocol.CodeBadArgument, "open", map[string]any{"store": map[string]any{"file": "relative.db"}, "local_url": w.url})
	g.fails(protocol.CodeBadArgument, "open", map[string]any{"store": map[string]any{}, "local_url": w.url})
	g.fails(protocol.CodeBadArgument, "open", map[string]any{"stoer": 1})
	g.open(filepath.Join(t.TempDir(), "session.db"), w.url)
	g.fails(protocol.CodeAlreadyOpen, "open", openArgs(filepath.Join(t.TempDir(), "other.db"), w.url))
	g.fails(protocol.CodeUnknownVerb, "no such verb", nil)
	g.fails(protocol.CodeNotPaired, "groups", nil)
	g.fails(protocol.CodeNotPaired, "logout", nil)
	g.call("connect", nil, nil)
	w.scan(g, phoneNumber)
	g.event("state", `"connected"`)
	for _, message := range []protocol.SendArgs{
		text("", friend, "no id"), text("id with spaces", friend, "x"), text(newID(), friend, ""), text(newID(), "", "x"),
		text(newID(), "someone@c.us", "x"), text(newID(), "1@broadcast", "x"), text(newID(), "919537851844:3@c.us", "x"),
	} {
		_, fail, _ := g.try("send", message)
		if fail == nil || fail.Sent != protocol.SentNo || (fail.Code != protocol.CodeBadArgument && fail.Code != protocol.CodeBadAddress) {
			t.Errorf("%+v gives %v", message, fail)
		}
	}
	unknown := text(newID(), friend, "x")
	unknown.Content.Type = "hologram"
	g.fails(protocol.CodeBadArgument, "send", unknown)
	if rows := w.messages(""); len(rows) != 0 {
		t.Fatalf("the journal: %+v", rows)
	}
}

func TestAnAnswerLargerThanAFrameIsAnError(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	g.call("send", text(newID(), friend, strings.Repeat("long ", 13_000)), nil)
	id := newID()
	huge := text(id, friend, strings.Repeat("x", protocol.MaxFrame))
	if err := g.conn.Write(protocol.Request{V: 1, Call: 9999, Verb: "send", Args: []byte(`"` + huge.Content.Text + `"`)}); err == nil {
		t.Fatal("a frame over the limit was written")
	}
}

func TestTheProgramSaysHowItIsStarted(t *testing.T) {
	command := exec.Command(builtHelper)
	var output bytes.Buffer
	command.Stderr, command.Stdout = &output, &output
	if err := command.Run(); err == nil || command.ProcessState.ExitCode() != helper.ExitUsage {
		t.Fatalf("ended with %v", command.ProcessState)
	}
	if !strings.Contains(output.String(), "started by the gateway") {
		t.Fatalf("said %q", output.String())
	}
	said, err := exec.Command(builtHelper, "--version").Output()
	if err != nil || !strings.Contains(string(said), "build local") {
		t.Fatalf("--version: %s %v", said, err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	command = exec.Command(builtHelper)
	command.ExtraFiles = []*os.File{null}
	if _ = command.Run(); command.ProcessState.ExitCode() != helper.ExitUsage {
		t.Fatalf("with a file on descriptor 3 it ended with %v", command.ProcessState)
	}
}
