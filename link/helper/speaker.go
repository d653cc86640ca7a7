package helper

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/link/protocol"
)

// confirmWait is how long an event may stay unconfirmed before WhatsApp is left to send it again.
const confirmWait = 20 * time.Second

// speaker writes to the gateway and waits for its confirmations.
type speaker struct {
	conn    *protocol.Conn
	failed  func(error)
	number  atomic.Uint64
	lock    sync.Mutex
	waiting map[uint64]chan struct{}
	ended   chan struct{}
	once    sync.Once
}

func newSpeaker(conn *protocol.Conn, failed func(error)) *speaker {
	return &speaker{conn: conn, failed: failed, waiting: map[uint64]chan struct{}{}, ended: make(chan struct{})}
}

func (s *speaker) write(frame any, files ...*os.File) bool {
	if err := s.conn.Write(frame, files...); err != nil {
		s.failed(err)
		return false
	}
	return true
}

func (s *speaker) reply(call uint64, result any, fail *protocol.Error) {
	reply := protocol.Reply{V: protocol.Version, Call: call, OK: fail == nil, Result: result, Error: fail}
	if fail != nil {
		reply.Result = nil
	}
	err := s.conn.Write(reply)
	if isTooLarge(err) {
		s.write(protocol.Reply{V: protocol.Version, Call: call,
			Error: protocol.Fail(protocol.CodeTooLarge, "The answer has more than %d bytes", protocol.MaxFrame)})
	} else if err != nil {
		s.failed(err)
	}
}

func (s *speaker) progress(call uint64, what string, data any) {
	s.write(protocol.Progress{V: protocol.Version, Call: call, Progress: what, Data: data})
}

// event tells something that need not be confirmed.
func (s *speaker) event(name string, data any) {
	err := s.conn.Write(protocol.Event{V: protocol.Version, Event: name, Data: data})
	if isTooLarge(err) {
		s.write(protocol.Event{V: protocol.Version, Event: "too_large", Data: map[string]any{"event": name}})
	} else if err != nil {
		s.failed(err)
	}
}

// deliver tells something that WhatsApp sends again unless the gateway confirms it. False: it was not confirmed.
func (s *speaker) deliver(name string, data any, confirm bool) bool {
	if !confirm {
		s.event(name, data)
		return true
	}
	no := s.number.Add(1)
	done := make(chan struct{})
	s.lock.Lock()
	s.waiting[no] = done
	s.lock.Unlock()
	defer func() {
		s.lock.Lock()
		delete(s.waiting, no)
		s.lock.Unlock()
	}()
	err := s.conn.Write(protocol.Event{V: protocol.Version, Event: name, No: no, Data: data})
	if isTooLarge(err) {
		s.event("too_large", map[string]any{"event": name})
		return true // it would never fit
	} else if err != nil {
		s.failed(err)
		return false
	}
	timer := time.NewTimer(confirmWait)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	case <-s.ended:
		return false
	}
}

func (s *speaker) confirm(no uint64) {
	s.lock.Lock()
	done := s.waiting[no]
	delete(s.waiting, no)
	s.lock.Unlock()
	if done != nil {
		close(done)
	}
}

// end frees everything that waits for a confirmation.
func (s *speaker) end() { s.once.Do(func() { close(s.ended) }) }
