package protocol

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func pair(t *testing.T) (a, b *Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if a, err = FromDescriptor(uintptr(fds[0])); err != nil {
		t.Fatal(err)
	}
	if b, err = FromDescriptor(uintptr(fds[1])); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

func TestAFrameArrivesWithItsFilesAndTheNextWithItsOwn(t *testing.T) {
	a, b := pair(t)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("inside"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() *os.File {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		return file
	}
	for _, files := range [][]*os.File{{open(), open()}, {}, {open()}} {
		if err := a.Write(Request{V: 1, Call: 1, Verb: "ping"}, files...); err != nil {
			t.Fatal(err)
		}
	}
	for _, expected := range []int{2, 0, 1} {
		body, files, err := b.Read()
		if err != nil || len(files) != expected {
			t.Fatalf("%q came with %d files: %v", body, len(files), err)
		}
		for _, file := range files {
			if inside, err := io.ReadAll(file); err != nil || (string(inside) != "inside" && string(inside) != "") {
				t.Fatalf("the file holds %q: %v", inside, err)
			}
		}
		CloseFiles(files)
	}
}

func TestALongFrameArrivesWhole(t *testing.T) {
	a, b := pair(t)
	long := strings.Repeat("x", MaxFrame-2)
	go func() { _ = a.Write(long) }()
	body, _, err := b.Read()
	if err != nil || len(body) != MaxFrame {
		t.Fatalf("%d bytes came: %v", len(body), err)
	}
	if err = a.Write(long + "x"); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("a longer frame gives %v", err)
	}
}

func TestAFrameThatEndsEarlyIsNoEndOfTheConnection(t *testing.T) {
	a, b := pair(t)
	if err := a.WriteRaw(append(binary.BigEndian.AppendUint32(nil, 100), "half"...)); err != nil {
		t.Fatal(err)
	}
	_ = a.Close()
	if _, _, err := b.Read(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("half a frame gives %v", err)
	}
	if _, _, err := b.Read(); !errors.Is(err, io.EOF) {
		t.Fatalf("the end gives %v", err)
	}
}

func TestTooManyFilesAreRefusedAndClosed(t *testing.T) {
	a, b := pair(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	files := make([]*os.File, MaxFiles+1)
	for i := range files {
		files[i] = null
	}
	if err := a.Write("x", files...); err != nil {
		t.Fatal(err)
	}
	if _, got, err := b.Read(); err == nil || len(got) != 0 {
		t.Fatalf("%d files were taken: %v", len(got), err)
	}
}

func TestOnlyAUnixSocketIsTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(file.Fd()))
	_ = file.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FromDescriptor(uintptr(fd)); err == nil {
		t.Fatal("a TCP socket was taken")
	}
}

func TestArgumentsAreReadStrictly(t *testing.T) {
	var args SendArgs
	if fail := Decode([]byte(`{"message_id": "x", "too": "y"}`), &args); fail == nil || fail.Code != CodeBadArgument {
		t.Fatalf("an unknown field gives %v", fail)
	}
	if fail := Decode(nil, &args); fail != nil {
		t.Fatalf("no arguments give %v", fail)
	}
}
