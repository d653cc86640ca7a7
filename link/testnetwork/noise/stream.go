package noise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/coder/websocket"
	waBinary "go.mau.fi/whatsmeow/binary"
)

const (
	maxFrame      = 1 << 24
	writeTimeout  = 10 * time.Second
	handshakeTime = 20 * time.Second
)

// Stream moves stanzas over one WebSocket. One goroutine reads; any number may write.
type Stream struct {
	socket  *websocket.Conn
	result  *Result
	pending []byte
	reads   uint32
	write   sync.Mutex
	writes  uint32
}

// Accept runs the handshake of a new client.
func Accept(ctx context.Context, socket *websocket.Conn, identity Identity) (*Stream, *Result, error) {
	socket.SetReadLimit(maxFrame)
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	s := &Stream{socket: socket}
	header := make([]byte, len(Header))
	if err := s.fill(ctx, header); err != nil {
		return nil, nil, err
	}
	if string(header) != string(Header) {
		return nil, nil, fmt.Errorf("the client began with %x, not with %x", header, Header)
	}
	result, err := handshake(identity,
		func() ([]byte, error) { return s.frame(ctx) },
		func(body []byte) error { return s.send(ctx, body) })
	s.result = result
	return s, result, err
}

// fill reads exactly as many bytes as the buffer has, over the borders of WebSocket messages.
func (s *Stream) fill(ctx context.Context, buffer []byte) error {
	for len(s.pending) < len(buffer) {
		kind, data, err := s.socket.Read(ctx)
		if err != nil {
			return err
		}
		if kind != websocket.MessageBinary {
			return errors.New("the client sent text")
		}
		s.pending = append(s.pending, data...)
	}
	copy(buffer, s.pending)
	s.pending = s.pending[len(buffer):]
	return nil
}

func (s *Stream) frame(ctx context.Context) ([]byte, error) {
	var size [3]byte
	if err := s.fill(ctx, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, int(size[0])<<16|int(size[1])<<8|int(size[2]))
	return body, s.fill(ctx, body)
}

func (s *Stream) send(ctx context.Context, body []byte) error {
	if len(body) >= maxFrame {
		return io.ErrShortBuffer
	}
	data := make([]byte, 3+len(body))
	data[0], data[1], data[2] = byte(len(body)>>16), byte(len(body)>>8), byte(len(body))
	copy(data[3:], body)
	return s.socket.Write(ctx, websocket.MessageBinary, data)
}

// Read returns the next stanza.
func (s *Stream) Read(ctx context.Context) (*waBinary.Node, error) {
	sealed, err := s.frame(ctx)
	if err != nil {
		return nil, err
	}
	plain, err := s.result.read.Open(nil, nonce(s.reads), sealed, nil)
	s.reads++
	if err != nil {
		return nil, fmt.Errorf("a frame cannot be decrypted: %w", err)
	}
	data, err := waBinary.Unpack(plain)
	if err != nil {
		return nil, err
	}
	return waBinary.Unmarshal(data)
}

// Write sends one stanza.
func (s *Stream) Write(node waBinary.Node) error {
	plain, err := waBinary.Marshal(node)
	if err != nil {
		return err
	}
	return s.WritePlain(plain)
}

// WritePlain sends bytes that may be no stanza at all.
func (s *Stream) WritePlain(plain []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	s.write.Lock()
	defer s.write.Unlock()
	sealed := s.result.write.Seal(nil, nonce(s.writes), plain, nil)
	s.writes++
	return s.send(ctx, sealed)
}

// Close ends the connection without a farewell, as a lost network does.
func (s *Stream) Close() { _ = s.socket.CloseNow() }
