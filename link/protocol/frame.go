// Package protocol holds the link protocol: the frames between the gateway and one helper.
//
// A frame is four bytes of length (big-endian) and that many bytes of JSON. Files travel beside a frame
// as descriptors (SCM_RIGHTS) that are attached to its first byte.
package protocol

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Version is the number that every frame carries as "v".
const Version = 1

// MaxFrame is the largest body of a frame in bytes, in both directions.
const MaxFrame = 1 << 20

// MaxFiles is the largest number of descriptors beside one frame.
const MaxFiles = 8

// WriteTimeout is how long a reader may take none of the bytes before the writer gives up.
const WriteTimeout = 30 * time.Second

// ErrBadFrame says that the bytes are not a frame of this protocol.
var ErrBadFrame = errors.New("not a frame of the link protocol")

// ErrTooLarge says that a frame has more bytes than MaxFrame.
var ErrTooLarge = errors.New("frame larger than the limit")

// Conn reads and writes frames. One goroutine reads; any number may write.
type Conn struct {
	socket *net.UnixConn
	write  sync.Mutex
}

// NewConn wraps one end of a socket pair.
func NewConn(socket *net.UnixConn) *Conn {
	return &Conn{socket: socket}
}

// FromDescriptor takes over an inherited descriptor that must be a Unix stream socket.
func FromDescriptor(fd uintptr) (*Conn, error) {
	file := os.NewFile(fd, "link")
	if file == nil {
		return nil, fmt.Errorf("descriptor %d is not open", fd)
	}
	defer func() { _ = file.Close() }()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d is not a socket: %w", fd, err)
	}
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("descriptor %d is not a Unix socket", fd)
	}
	return NewConn(socket), nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.socket.Close() }

// Read returns the next frame and the files beside it, which the caller closes. io.EOF: the other side is gone.
func (c *Conn) Read() (body []byte, files []*os.File, err error) {
	defer func() {
		if err != nil {
			CloseFiles(files)
			files = nil
		}
	}()
	var head [4]byte
	files, err = c.readFull(head[:], files)
	if err != nil {
		return nil, files, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > MaxFrame {
		return nil, files, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, MaxFrame)
	}
	if size < 2 {
		return nil, files, fmt.Errorf("%w: a body of %d bytes", ErrBadFrame, size)
	}
	body = make([]byte, size)
	files, err = c.readFull(body, files)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return body, files, err
}

func (c *Conn) readFull(buffer []byte, files []*os.File) ([]*os.File, error) {
	space := make([]byte, syscall.CmsgSpace(4*MaxFiles))
	for done := 0; done < len(buffer); {
		n, oobn, flags, _, err := c.socket.ReadMsgUnix(buffer[done:], space)
		if oobn > 0 {
			more, parseErr := parseFiles(space[:oobn])
			files = append(files, more...)
			if parseErr != nil {
				return files, parseErr
			}
			if len(files) > MaxFiles || flags&syscall.MSG_CTRUNC != 0 {
				return files, fmt.Errorf("%w: more than %d files beside a frame", ErrBadFrame, MaxFiles)
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) && done > 0 {
				return files, io.ErrUnexpectedEOF
			}
			return files, err
		}
		if n == 0 {
			if done > 0 {
				return files, io.ErrUnexpectedEOF
			}
			return files, io.EOF
		}
		done += n
	}
	return files, nil
}

func parseFiles(oob []byte) ([]*os.File, error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("%w: control message: %w", ErrBadFrame, err)
	}
	var files []*os.File
	for _, message := range messages {
		fds, err := syscall.ParseUnixRights(&message)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "media"))
		}
	}
	return files, nil
}

// Write sends one frame as JSON, with the files attached to its first byte.
func (c *Conn) Write(frame any, files ...*os.File) error {
	body, err := json.Marshal(frame)
	if err != nil {
		return fmt.Errorf("frame cannot be written as JSON: %w", err)
	}
	return c.WriteBody(body, files...)
}

// WriteBody sends a body that is already JSON.
func (c *Conn) WriteBody(body []byte, files ...*os.File) error {
	if len(body) > MaxFrame {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(body), MaxFrame)
	}
	data := make([]byte, 4+len(body))
	binary.BigEndian.PutUint32(data, uint32(len(body)))
	copy(data[4:], body)
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, file := range files {
			fds[i] = int(file.Fd())
		}
		rights = syscall.UnixRights(fds...)
	}
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.socket.SetWriteDeadline(time.Now().Add(WriteTimeout)); err != nil {
		return err
	}
	n, _, err := c.socket.WriteMsgUnix(data, rights, nil)
	if err == nil && n < len(data) {
		_, err = c.socket.Write(data[n:])
	}
	return err
}

// CloseFiles closes what came beside a frame.
func CloseFiles(files []*os.File) {
	for _, file := range files {
		if file != nil {
			_ = file.Close()
		}
	}
}

// WriteRaw sends bytes as they are: tests of what a broken peer does use it.
func (c *Conn) WriteRaw(data []byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	_, err := c.socket.Write(data)
	return err
}
