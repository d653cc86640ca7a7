// Package session is where the keys of a linked device lie: a private file, or PostgreSQL. One helper has it.
package session

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"heliograph/link/protocol"
	_ "heliograph/link/silence"
)

// Args say where the session lies: in a file, or in PostgreSQL.
type Args struct {
	File     string `json:"file,omitempty"`
	Postgres string `json:"postgres,omitempty"`
	Schema   string `json:"schema,omitempty"`
	PhoneID  string `json:"phone_id,omitempty"`
}

// Session is the open store of one phone. The lock is held until close.
type Session struct {
	db        *sql.DB
	container *sqlstore.Container
	Device    *store.Device
	Known     func(ctx context.Context) (bool, error) // whether the store still holds a device
	Paired    func(ctx context.Context, jid types.JID) error
	Forget    func(ctx context.Context) error
	release   func()
}

// Close ends the session and gives up its lock.
func (s *Session) Close() {
	_ = s.db.Close()
	s.release()
}

// Open opens and locks the store. One helper at a time has it.
func Open(ctx context.Context, args Args) (*Session, *protocol.Error) {
	switch {
	case args.File != "" && args.Postgres == "":
		return openFile(ctx, args.File)
	case args.Postgres != "" && args.File == "":
		return openPostgres(ctx, args)
	default:
		return nil, protocol.Fail(protocol.CodeBadArgument, "store needs either file or postgres")
	}
}

func openFile(ctx context.Context, path string) (*Session, *protocol.Error) {
	if !filepath.IsAbs(path) {
		return nil, protocol.Fail(protocol.CodeBadArgument, "The session file needs an absolute path")
	}
	lock, fail := lockFile(path + ".lock")
	if fail != nil {
		return nil, fail
	}
	opened, fail := openLockedFile(ctx, path)
	if fail != nil {
		_ = lock.Close()
		return nil, fail
	}
	opened.release = func() { _ = lock.Close() }
	return opened, nil
}

// lockFile takes the lock that a helper holds for its lifetime; the kernel drops it with the process.
func lockFile(path string) (*os.File, *protocol.Error) {
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, protocol.Fail(protocol.CodeStoreUnavailable, "The session's lock cannot be opened: %v", err)
	}
	if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, protocol.Fail(protocol.CodeSessionLocked, "Another helper has this session open")
		}
		return nil, protocol.Fail(protocol.CodeStoreUnavailable, "The session cannot be locked: %v", err)
	}
	return lock, nil
}

func openLockedFile(ctx context.Context, path string) (*Session, *protocol.Error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, protocol.Fail(protocol.CodeStoreUnavailable, "The session file cannot be opened: %v", err)
	}
	err = file.Chmod(0o600)
	_ = file.Close()
	if err != nil {
		return nil, protocol.Fail(protocol.CodeStoreUnavailable, "The session file cannot be kept private: %v", err)
	}
	db, err := sql.Open("sqlite", "file:"+escapePath(path)+"?_txlock=immediate"+
		"&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"+
		"&_pragma=cache_size(-512)&_pragma=journal_size_limit(1048576)&_pragma=mmap_size(0)")
	if err != nil {
		return nil, protocol.Fail(protocol.CodeStoreUnavailable, "The session file cannot be used: %v", err)
	}
	db.SetMaxOpenConns(2)
	db.SetMaxIdleConns(2)
	session, fail := loadFile(ctx, db)
	if fail != nil {
		_ = db.Close()
	}
	return session, fail
}

func loadFile(ctx context.Context, db *sql.DB) (*Session, *protocol.Error) {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return nil, Failure(err)
	}
	if verdict != "ok" {
		return nil, protocol.Fail(protocol.CodeSessionDamaged, "The session file is damaged: %s", verdict)
	}
	container := sqlstore.NewWithDB(db, "sqlite", nil)
	if err := container.Upgrade(ctx); err != nil {
		return nil, Failure(err)
	}
	devices, err := container.GetAllDevices(ctx)
	if err != nil {
		return nil, Failure(err)
	}
	device := container.NewDevice()
	if len(devices) > 0 {
		device = devices[0]
	}
	return &Session{
		db: db, container: container, Device: device,
		Known: func(ctx context.Context) (bool, error) {
			devices, err := container.GetAllDevices(ctx)
			return len(devices) > 0, err
		},
		Paired: func(context.Context, types.JID) error { return nil },
		Forget: func(context.Context) error { return nil },
	}, nil
}

// Failure tells a damaged store from one that cannot be reached.
func Failure(err error) *protocol.Error {
	text := err.Error()
	for _, sign := range []string{"malformed", "not a database", "file is encrypted", "invalid length", "failed to scan"} {
		if strings.Contains(text, sign) {
			return protocol.Fail(protocol.CodeSessionDamaged, "The session cannot be read: %v", err)
		}
	}
	return protocol.Fail(protocol.CodeStoreUnavailable, "The session cannot be used: %v", err)
}

func escapePath(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}
