package helper

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"heliograph/link/protocol"
)

// The exit codes of the helper.
const (
	ExitClosed     = 0 // the gateway said close, or is gone
	ExitUsage      = 2 // started without a socket on descriptor 3
	ExitBadFrame   = 3 // the gateway wrote something that is no frame
	ExitBadVersion = 4 // the gateway speaks another version
	ExitUnread     = 6 // the gateway does not read, or its socket broke
)

const (
	callTimeout  = 60 * time.Second
	mediaTimeout = 5 * time.Minute
	maxCalls     = 32
)

// Hello is the first event of a helper.
type Hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"`
	Library  string `json:"library"`
	Build    string `json:"build"`
	PID      int    `json:"pid"`
}

// server answers the calls of one gateway.
type server struct {
	say   *speaker
	level Level
	lock  sync.Mutex
	phone *phone
	calls chan struct{}
	done  chan int
	once  sync.Once
}

// Serve speaks the link protocol until the gateway is gone. The result is the exit code.
func Serve(conn *protocol.Conn, hello Hello, level Level) int {
	s := &server{level: level, calls: make(chan struct{}, maxCalls), done: make(chan int, 1)}
	s.say = newSpeaker(conn, func(error) { s.stop(ExitUnread) })
	s.say.event("hello", hello)
	go s.listen(conn)
	code := <-s.done
	s.say.end()
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phone != nil {
		s.phone.close()
	}
	return code
}

func (s *server) stop(code int) {
	s.once.Do(func() { s.done <- code })
}

func (s *server) listen(conn *protocol.Conn) {
	for {
		body, files, err := conn.Read()
		if errors.Is(err, io.EOF) {
			s.stop(ExitClosed)
			return
		}
		if err != nil {
			s.fatal(ExitBadFrame, protocol.Fail(protocol.CodeBadFrame, "The gateway's frame cannot be read: %v", err))
			return
		}
		request, fail := protocol.ParseRequest(body)
		if fail != nil {
			protocol.CloseFiles(files)
			code := ExitBadFrame
			if fail.Code == protocol.CodeBadVersion {
				code = ExitBadVersion
			}
			s.fatal(code, fail)
			return
		}
		if request.Confirm != 0 {
			protocol.CloseFiles(files)
			s.say.confirm(request.Confirm)
			continue
		}
		if request.Verb == "close" {
			protocol.CloseFiles(files)
			s.say.reply(request.Call, struct{}{}, nil)
			s.stop(ExitClosed)
			return
		}
		select {
		case s.calls <- struct{}{}:
			go s.answer(request, files)
		default:
			protocol.CloseFiles(files)
			s.say.reply(request.Call, nil, notSent(protocol.Fail(protocol.CodeBusy, "More than %d calls at once", maxCalls)))
		}
	}
}

// fatal tells why the helper ends, and ends it.
func (s *server) fatal(code int, fail *protocol.Error) {
	s.say.event("fatal", map[string]any{"error": fail})
	_, _ = os.Stderr.WriteString("heliograph-link: " + fail.Error() + "\n")
	s.stop(code)
}

func (s *server) answer(request *protocol.Request, files []*os.File) {
	defer func() { <-s.calls }()
	defer protocol.CloseFiles(files)
	defer func() {
		if broken := recover(); broken != nil {
			_, _ = os.Stderr.Write(debug.Stack())
			fail := protocol.Fail(protocol.CodeInternal, "The helper failed in %s: %v", request.Verb, broken)
			fail.Sent = protocol.SentUnknown
			s.say.reply(request.Call, nil, fail)
		}
	}()
	result, fail := s.run(request, files)
	s.say.reply(request.Call, result, fail)
}

func (s *server) run(request *protocol.Request, files []*os.File) (any, *protocol.Error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	switch request.Verb {
	case "open":
		return s.open(ctx, request.Args)
	case "ping":
		return map[string]any{"memory": memory()}, nil
	}
	s.lock.Lock()
	p := s.phone
	s.lock.Unlock()
	if p == nil {
		return nil, protocol.Fail(protocol.CodeNotOpen, "No session is open; the first call is open")
	}
	return p.call(ctx, request, files)
}

func (s *server) open(ctx context.Context, raw json.RawMessage) (any, *protocol.Error) {
	var args OpenArgs
	if fail := protocol.Decode(raw, &args); fail != nil {
		return nil, fail
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phone != nil {
		return nil, protocol.Fail(protocol.CodeAlreadyOpen, "A session is open; a helper has one for its lifetime")
	}
	opened, fail := openPhone(ctx, args, s.say, s.level)
	if fail != nil {
		return nil, fail
	}
	s.phone = opened
	return opened.opened(), nil
}
