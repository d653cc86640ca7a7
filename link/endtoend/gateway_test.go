package endtoend

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"heliograph/link/protocol"
)

// patience is how long a test waits for something before it fails.
const patience = 30 * time.Second

// builtHelper is the test build of heliograph-link, made once.
var builtHelper string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "heliograph-link-tests-*")
	if err != nil {
		panic(err)
	}
	builtHelper = os.Getenv("HELIOGRAPH_TEST_LINK_HELPER")
	if builtHelper == "" {
		builtHelper = filepath.Join(folder, "heliograph-link-test")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-tags", "localwhatsapp", "-o", builtHelper, "../cmd/heliograph-link")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// frame is anything that the helper says.
type frame struct {
	V        int             `json:"v"`
	Call     uint64          `json:"call"`
	OK       bool            `json:"ok"`
	Result   json.RawMessage `json:"result"`
	Error    *protocol.Error `json:"error"`
	Progress string          `json:"progress"`
	Event    string          `json:"event"`
	No       uint64          `json:"no"`
	Data     json.RawMessage `json:"data"`
}

// gateway is a test's side of the link protocol, with a helper process at the other end.
type gateway struct {
	t       testing.TB
	conn    *protocol.Conn
	process *exec.Cmd
	lock    sync.Mutex
	calls   uint64
	waiting map[uint64]chan frame
	frames  []frame // progress and events, in order
	changed chan struct{}
	mute    bool // confirm no events
	tape    *tape
	exited  chan struct{}
	code    int
}

func start(t testing.TB) *gateway {
	t.Helper()
	return startTaped(t, nil)
}

func startTaped(t testing.TB, recording *tape) *gateway {
	t.Helper()
	return startWith(t, recording)
}

// startWith puts other files before the socket.
func startWith(t testing.TB, recording *tape, before ...*os.File) *gateway {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	process := exec.Command(builtHelper)
	process.ExtraFiles = append(before, theirs)
	process.Stderr = os.Stderr
	process.Env = append(os.Environ(), "LINK_LOG="+os.Getenv("HELIOGRAPH_TEST_LINK_LOG"))
	if os.Getenv("HELIOGRAPH_TEST_LINK_LOG") == "" {
		process.Env = append(process.Env, "LINK_LOG=off")
	}
	if err = process.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	_ = ours.Close()
	g := &gateway{t: t, conn: protocol.NewConn(conn.(*net.UnixConn)), process: process,
		tape: recording, waiting: map[uint64]chan frame{}, changed: make(chan struct{}, 1), exited: make(chan struct{})}
	go g.read()
	go func() {
		_ = process.Wait()
		g.code = process.ProcessState.ExitCode()
		close(g.exited)
	}()
	t.Cleanup(g.end)
	return g
}

func (g *gateway) end() {
	_ = g.conn.Close()
	select {
	case <-g.exited:
	case <-time.After(10 * time.Second):
		_ = g.process.Process.Kill()
		<-g.exited
	}
}

func (g *gateway) kill() {
	_ = g.process.Process.Kill()
	<-g.exited
}

func (g *gateway) read() {
	for {
		body, files, err := g.conn.Read()
		protocol.CloseFiles(files)
		if err != nil {
			g.lock.Lock()
			for call, answer := range g.waiting {
				delete(g.waiting, call)
				close(answer)
			}
			g.lock.Unlock()
			g.tell()
			return
		}
		g.tape.add("helper", body, 0)
		var f frame
		if err = json.Unmarshal(body, &f); err != nil {
			g.t.Errorf("the helper wrote %q", body)
			return
		}
		g.take(f)
	}
}

func (g *gateway) take(f frame) {
	g.lock.Lock()
	if f.Event == "" && f.Progress == "" {
		answer := g.waiting[f.Call]
		delete(g.waiting, f.Call)
		g.lock.Unlock()
		if answer != nil {
			answer <- f
		}
		return
	}
	g.frames = append(g.frames, f)
	mute := g.mute
	g.lock.Unlock()
	if f.No != 0 && !mute {
		_ = g.write(protocol.Request{V: protocol.Version, Confirm: f.No})
	}
	g.tell()
}

func (g *gateway) tell() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

var errGone = errors.New("the helper is gone")

func (g *gateway) write(request protocol.Request, files ...*os.File) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	g.tape.add("gateway", body, len(files))
	return g.conn.WriteBody(body, files...)
}

// begin calls a verb and gives where its answer will be.
func (g *gateway) begin(verb string, args any, files ...*os.File) (uint64, <-chan frame) {
	g.t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		g.t.Fatal(err)
	}
	answer := make(chan frame, 1)
	g.lock.Lock()
	g.calls++
	call := g.calls
	g.waiting[call] = answer
	g.lock.Unlock()
	if err = g.write(protocol.Request{V: protocol.Version, Call: call, Verb: verb, Args: raw}, files...); err != nil {
		g.t.Logf("writing %s: %v", verb, err)
	}
	return call, answer
}

// try calls a verb and waits.
func (g *gateway) try(verb string, args any, files ...*os.File) (json.RawMessage, *protocol.Error, error) {
	g.t.Helper()
	_, answer := g.begin(verb, args, files...)
	select {
	case f, open := <-answer:
		if !open {
			return nil, nil, errGone
		}
		return f.Result, f.Error, nil
	case <-time.After(patience):
		g.t.Fatalf("%s was not answered in %s", verb, patience)
		return nil, nil, nil
	}
}

// call is a verb that must work.
func (g *gateway) call(verb string, args, into any, files ...*os.File) {
	g.t.Helper()
	result, fail, err := g.try(verb, args, files...)
	if err != nil || fail != nil {
		g.t.Fatalf("%s failed: %v %v", verb, err, fail)
	}
	if into != nil {
		if err := json.Unmarshal(result, into); err != nil {
			g.t.Fatal(err)
		}
	}
}

// fails is a verb that must fail with a code.
func (g *gateway) fails(code, verb string, args any, files ...*os.File) *protocol.Error {
	g.t.Helper()
	result, fail, err := g.try(verb, args, files...)
	if err != nil {
		g.t.Fatalf("%s: %v", verb, err)
	}
	if fail == nil {
		g.t.Fatalf("%s worked: %s; expected %s", verb, result, code)
	}
	if fail.Code != code {
		g.t.Fatalf("%s failed with %v, expected %s", verb, fail, code)
	}
	return fail
}

// waitFor gives the first frame that fits, now or later.
func (g *gateway) waitFor(what string, fits func(frame) bool) frame {
	g.t.Helper()
	deadline := time.After(patience)
	for {
		g.lock.Lock()
		for _, f := range g.frames {
			if fits(f) {
				g.lock.Unlock()
				return f
			}
		}
		seen := len(g.frames)
		g.lock.Unlock()
		select {
		case <-g.changed:
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			g.t.Fatalf("%s did not happen in %s; %d frames: %s", what, patience, seen, g.history())
		}
	}
}

func (g *gateway) history() string {
	g.lock.Lock()
	defer g.lock.Unlock()
	text := ""
	for _, f := range g.frames[max(0, len(g.frames)-20):] {
		text += fmt.Sprintf("\n  %s%s %s", f.Event, f.Progress, f.Data)
	}
	return text
}

// event waits for an event, and for a text in its data.
func (g *gateway) event(name string, holds ...string) map[string]any {
	g.t.Helper()
	f := g.waitFor(fmt.Sprintf("event %s %v", name, holds), func(f frame) bool {
		return f.Event == name && containsAll(string(f.Data), holds)
	})
	out := map[string]any{}
	if err := json.Unmarshal(f.Data, &out); err != nil {
		g.t.Fatal(err)
	}
	return out
}

func (g *gateway) count(name string, holds ...string) int {
	g.lock.Lock()
	defer g.lock.Unlock()
	n := 0
	for _, f := range g.frames {
		if f.Event == name && containsAll(string(f.Data), holds) {
			n++
		}
	}
	return n
}

func (g *gateway) exitCode() int {
	g.t.Helper()
	select {
	case <-g.exited:
		return g.code
	case <-time.After(patience):
		g.t.Fatal("the helper does not end")
		return -1
	}
}
