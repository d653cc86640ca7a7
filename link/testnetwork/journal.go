package testnetwork

import (
	"context"
	"database/sql"
	_ "embed" // the schema
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"go.mau.fi/util/dbutil"
	"go.mau.fi/whatsmeow/store/sqlstore"
	_ "modernc.org/sqlite" // the driver "sqlite"

	_ "heliograph/link/silence"
)

//go:embed journal.sql
var journalSchema string

// ErrJournalInUse says that another process has the file.
var ErrJournalInUse = errors.New("the journal is in use by another process")

// journal is the network's own file: messages, people and their keys, linked devices, what is still owed.
// It is written before the answer and not synced: it survives a kill of the process, not of the machine.
type journal struct {
	db        *dbutil.Database
	container *sqlstore.Container
	lock      *os.File
}

func openJournal(ctx context.Context, path string) (*journal, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("%w: %s", ErrJournalInUse, path)
	}
	raw, err := sql.Open("sqlite", "file:"+strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)+
		"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"+
		"&_pragma=foreign_keys(1)&_pragma=cache_size(-8000)")
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	raw.SetMaxOpenConns(4)
	raw.SetMaxIdleConns(4)
	j := &journal{lock: lock}
	if j.db, err = dbutil.NewWithDB(raw, "sqlite"); err == nil {
		j.container = sqlstore.NewWithDB(raw, "sqlite", nil)
		if err = j.container.Upgrade(ctx); err == nil {
			_, err = raw.ExecContext(ctx, journalSchema)
		}
	}
	if err != nil {
		j.close()
		return nil, fmt.Errorf("the journal %s cannot be used: %w", path, err)
	}
	// people's keys and the messages that use them change in one transaction
	store := sqlstore.NewWithWrappedDB(j.db, nil)
	j.container = store
	return j, nil
}

func (j *journal) close() {
	if j.db != nil {
		_ = j.db.Close()
	}
	_ = j.lock.Close()
}

// transaction runs work as one change of the file; a context inside a transaction joins it.
func (j *journal) transaction(ctx context.Context, work func(ctx context.Context) error) error {
	return j.db.DoTxn(ctx, nil, work)
}

func (j *journal) exec(ctx context.Context, query string, args ...any) error {
	_, err := j.db.Exec(ctx, query, args...)
	return err
}

// one reads a single row; false: there is none.
func (j *journal) one(ctx context.Context, into []any, query string, args ...any) (bool, error) {
	err := j.db.QueryRow(ctx, query, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each reads rows; `scan` is called for every one.
func (j *journal) each(ctx context.Context, scan func(row dbutil.Scannable) error, query string, args ...any) error {
	rows, err := j.db.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err = scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (j *journal) setting(ctx context.Context, name string, into any) (bool, error) {
	var text string
	found, err := j.one(ctx, []any{&text}, "SELECT value FROM linked_settings WHERE name = $1", name)
	if !found || err != nil {
		return false, err
	}
	return true, json.Unmarshal([]byte(text), into)
}

func (j *journal) setSetting(ctx context.Context, name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return j.exec(ctx, "INSERT INTO linked_settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		name, string(text))
}

func nowMicros() int64 { return time.Now().UnixMicro() }
