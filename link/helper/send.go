package helper

import (
	"context"
	"os"
	"regexp"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"

	"heliograph/link/protocol"
)

const (
	defaultAckWait = 20 * time.Second
	longestAckWait = 75 * time.Second
	lateRemembered = 512
)

var messageID = regexp.MustCompile(`^[0-9A-Za-z._-]{4,64}$`)

// flight is the message that is being sent, and those whose acknowledgement may still come.
type flight struct {
	lock    sync.Mutex
	id      string
	call    uint64
	written bool
	backoff float64
	late    map[string]struct{}
	order   []string
}

// writing is called just before the frame of a message is written.
func (p *phone) writing(id string) {
	f := &p.flight
	f.lock.Lock()
	mine := id == f.id && !f.written
	if mine {
		f.written = true
	}
	call := f.call
	f.lock.Unlock()
	if mine {
		p.say.progress(call, "writing", map[string]any{"message_id": id})
	}
}

// acknowledged is called for every acknowledgement; one that nobody waits for any more is an event.
func (p *phone) acknowledged(id string, serverCode int, retryAfterS float64) {
	f := &p.flight
	f.lock.Lock()
	if id == f.id {
		f.backoff = retryAfterS
	}
	_, late := f.late[id]
	if late && id != f.id {
		delete(f.late, id)
	}
	late = late && id != f.id
	f.lock.Unlock()
	if !late {
		return
	}
	data := map[string]any{"message_id": id, "ok": serverCode == 0}
	if serverCode != 0 {
		code, known := serverCodes[serverCode]
		if !known {
			code = protocol.CodeServerRefused
		}
		data["error"] = &protocol.Error{Code: code, Message: "WhatsApp refused the message", ServerCode: serverCode}
	}
	p.say.event("late_ack", data)
}

func (f *flight) begin(id string, call uint64) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.id, f.call, f.written, f.backoff = id, call, false, 0
	delete(f.late, id)
}

// end gives whether the frame was written, and for how long WhatsApp asked to wait.
func (f *flight) end(unanswered bool) (written bool, backoff float64) {
	f.lock.Lock()
	defer f.lock.Unlock()
	written, backoff = f.written, f.backoff
	if written && unanswered {
		if f.late == nil {
			f.late = map[string]struct{}{}
		}
		if len(f.order) >= lateRemembered {
			delete(f.late, f.order[0])
			f.order = f.order[1:]
		}
		f.late[f.id] = struct{}{}
		f.order = append(f.order, f.id)
	}
	f.id = ""
	return written, backoff
}

// send is the verb `send`.
func (p *phone) send(ctx context.Context, call uint64, args protocol.SendArgs, files []*os.File) (any, *protocol.Error) {
	to, fail := parseAddress(args.To)
	if fail == nil {
		fail = checkID(args.MessageID)
	}
	if fail != nil {
		return nil, notSent(fail)
	}
	return p.inLane(ctx, call, args.MessageID, to, args.TimeoutS, func(ctx context.Context) (*waE2E.Message, *protocol.Error) {
		return p.compose(ctx, to, args, files)
	})
}

// change is the verbs `edit`, `revoke`, `react` and `vote`.
func (p *phone) change(ctx context.Context, call uint64, verb string, args protocol.ChangeArgs) (any, *protocol.Error) {
	to, fail := parseAddress(args.To)
	if fail == nil {
		fail = checkID(args.MessageID)
	}
	if fail == nil {
		fail = checkID(args.TargetID)
	}
	if fail != nil {
		return nil, notSent(fail)
	}
	return p.inLane(ctx, call, args.MessageID, to, args.TimeoutS, func(ctx context.Context) (*waE2E.Message, *protocol.Error) {
		return p.composeChange(ctx, verb, to, args)
	})
}

type composer func(ctx context.Context) (*waE2E.Message, *protocol.Error)

// inLane sends one message. A second one meanwhile is refused, not queued: the queue is the gateway's.
func (p *phone) inLane(ctx context.Context, call uint64, id string, to types.JID, timeoutS float64, compose composer) (any, *protocol.Error) {
	select {
	case p.lane <- struct{}{}:
		defer func() { <-p.lane }()
	default:
		return nil, notSent(protocol.Fail(protocol.CodeBusy, "Another message of this phone is being sent"))
	}
	if fail := p.ready(); fail != nil {
		return nil, notSent(fail)
	}
	wait := ackWait(timeoutS)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	message, fail := compose(ctx)
	if fail != nil {
		return nil, notSent(fail)
	}
	p.flight.begin(id, call)
	sent, err := p.client.SendMessage(ctx, to, message, whatsmeow.SendRequestExtra{ID: id, Timeout: wait})
	if err != nil {
		fail := sendFailure(err, true)
		written, backoff := p.flight.end(fail.ServerCode == 0)
		fail = sendFailure(err, written)
		fail.RetryAfterS = backoff
		return nil, fail
	}
	p.flight.end(false)
	chat := p.address(ctx, to, sent.Chat)
	return protocol.Taken{MessageID: sent.ID, Chat: chat.text, ChatLID: chat.lid, TimestampS: unix(sent.Timestamp)}, nil
}

func ackWait(timeoutS float64) time.Duration {
	wait := time.Duration(timeoutS * float64(time.Second))
	if wait <= 0 {
		return defaultAckWait
	}
	return min(wait, longestAckWait)
}

func checkID(id string) *protocol.Error {
	if !messageID.MatchString(id) {
		return protocol.Fail(protocol.CodeBadArgument, "%q is not a message id", id)
	}
	return nil
}

func notSent(fail *protocol.Error) *protocol.Error {
	if fail.Sent == "" {
		fail.Sent = protocol.SentNo
	}
	return fail
}
