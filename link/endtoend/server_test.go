package endtoend

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program builds the local WhatsApp as people run it, and starts it on a free port.
func (w *world) program(t *testing.T, binary string, port string) *exec.Cmd {
	t.Helper()
	command := exec.Command(binary, "--port", port, "--journal", w.journal)
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err = command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	w.url = strings.TrimSpace(line)
	return command
}

func TestTheJournalAndTheKeysOutliveAKillOfTheLocalWhatsApp(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "heliograph-local-whatsapp")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "../cmd/heliograph-local-whatsapp")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, output)
	}
	w := &world{t: t, journal: filepath.Join(t.TempDir(), "network.db")}
	server := w.program(t, binary, "0")
	port := w.url[strings.LastIndex(w.url, ":")+1:]
	if output, err := exec.Command(binary, "--port", "0", "--journal", w.journal).CombinedOutput(); err == nil || !strings.Contains(string(output), "in use") {
		t.Fatalf("a second one on the same journal: %v %s", err, output)
	}
	g, _ := w.linked(phoneNumber)
	w.do("PUT", "/simulator/contacts/"+friendNumber, map[string]any{"behaviour": "02"})
	first, second := newID(), newID()
	g.call("send", text(first, friend, "before the kill"), nil)
	for round := range 3 {
		_ = server.Process.Kill()
		_ = server.Wait()
		server = w.program(t, binary, port)
		until(t, "connected again", func() bool { return g.count("state", `"connected"`) >= round+2 })
	}
	g.call("send", text(first, friend, "before the kill"), nil)
	g.call("send", text(second, friend, "after the kill"), nil)
	if seen := w.message(first); seen.Transmissions != 2 || seen.Shown != 1 || seen.Ack != 1 {
		t.Fatalf("the recipient saw %+v", seen)
	}
	if seen := w.message(second); seen.Body != "after the kill" {
		t.Fatalf("the recipient saw %+v", seen)
	}
	if contacts := string(w.do("GET", "/simulator/contacts", nil)); !strings.Contains(contacts, `"02"`) {
		t.Fatalf("contacts: %s", contacts)
	}
}
