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

	"heliograph/link/memory"
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
		return map[string]any{"memory": memory.Figures()}, nil
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

// needsConnection are the verbs that ask WhatsApp something. Those that send a message check for themselves.
var needsConnection = map[string]bool{
	"groups": true, "group": true, "group_create": true, "group_people": true, "group_subject": true, "group_leave": true,
	"check": true, "mark_read": true, "typing": true, "download": true,
}

// call runs a verb on an open session.
func (p *phone) call(ctx context.Context, request *protocol.Request, files []*os.File) (any, *protocol.Error) {
	if needsConnection[request.Verb] {
		if fail := p.ready(); fail != nil {
			return nil, fail
		}
	}
	switch request.Verb {
	case "connect":
		if fail := p.connect(ctx); fail != nil {
			return nil, fail
		}
		return p.opened(), nil
	case "state":
		return p.opened(), nil
	case "qr":
		code, shown := p.qr.now()
		if !shown {
			return nil, protocol.Fail(protocol.CodeNotConnected, "No code is shown now")
		}
		return code, nil
	case "pair_code":
		return with(request.Args, func(args PairCodeArgs) (any, *protocol.Error) { return p.pairCode(ctx, args) })
	case "passkey_answer":
		return with(request.Args, func(args PasskeyAnswerArgs) (any, *protocol.Error) { return p.passkeyAnswer(ctx, args) })
	case "passkey_confirm":
		return p.passkeyConfirm(ctx)
	case "logout":
		return p.logout(ctx)
	case "send":
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mediaTimeout)
		defer cancel()
		return with(request.Args, func(args protocol.SendArgs) (any, *protocol.Error) {
			return p.send(ctx, request.Call, args, files)
		})
	case "edit", "revoke", "react", "vote":
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mediaTimeout)
		defer cancel()
		return with(request.Args, func(args protocol.ChangeArgs) (any, *protocol.Error) {
			return p.change(ctx, request.Call, request.Verb, args)
		})
	case "download":
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mediaTimeout)
		defer cancel()
		return with(request.Args, func(args DownloadArgs) (any, *protocol.Error) { return p.download(ctx, args, files) })
	case "mark_read":
		return with(request.Args, func(args ReadArgs) (any, *protocol.Error) { return p.markRead(ctx, args) })
	case "typing":
		return with(request.Args, func(args TypingArgs) (any, *protocol.Error) { return p.typing(ctx, args) })
	case "check":
		return with(request.Args, func(args PeopleArgs) (any, *protocol.Error) { return p.check(ctx, args) })
	case "resolve":
		return with(request.Args, func(args PeopleArgs) (any, *protocol.Error) { return p.resolve(ctx, args) })
	default:
		return p.callGroup(ctx, request)
	}
}

func (p *phone) callGroup(ctx context.Context, request *protocol.Request) (any, *protocol.Error) {
	verbs := map[string]func(context.Context, GroupArgs) (any, *protocol.Error){
		"groups":        func(ctx context.Context, _ GroupArgs) (any, *protocol.Error) { return p.groups(ctx) },
		"group":         p.group,
		"group_create":  p.groupCreate,
		"group_people":  p.groupPeople,
		"group_subject": p.groupSubject,
		"group_leave":   p.groupLeave,
	}
	verb, known := verbs[request.Verb]
	if !known {
		return nil, protocol.Fail(protocol.CodeUnknownVerb, "There is no verb %q", request.Verb)
	}
	return with(request.Args, func(args GroupArgs) (any, *protocol.Error) { return verb(ctx, args) })
}

func with[T any](raw json.RawMessage, run func(T) (any, *protocol.Error)) (any, *protocol.Error) {
	var args T
	if fail := protocol.Decode(raw, &args); fail != nil {
		return nil, notSent(fail)
	}
	return run(args)
}
