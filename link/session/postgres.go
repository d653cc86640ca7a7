package session

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/lib/pq"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"

	"heliograph/link/protocol"
)

// DefaultSchema is where the sessions of a fleet lie.
const DefaultSchema = "heliograph_link"

const (
	lockSpace      = 0x48454c49 // "HELI": the first half of the advisory lock of a session
	postgresWait   = 10 * time.Second
	phonesTable    = "CREATE TABLE IF NOT EXISTS heliograph_phones (phone_id TEXT PRIMARY KEY, jid TEXT NOT NULL)"
	findPhone      = "SELECT jid FROM heliograph_phones WHERE phone_id = $1"
	knownPhone     = "SELECT EXISTS (SELECT 1 FROM heliograph_phones p JOIN whatsmeow_device d ON d.jid = p.jid WHERE p.phone_id = $1)"
	rememberPhone  = "INSERT INTO heliograph_phones (phone_id, jid) VALUES ($1, $2) ON CONFLICT (phone_id) DO UPDATE SET jid = excluded.jid"
	forgetPhone    = "DELETE FROM heliograph_phones WHERE phone_id = $1"
	tryLockSession = "SELECT pg_try_advisory_lock($1::int, hashtext($2))"
	lockSchema     = "SELECT pg_advisory_xact_lock($1::int, hashtext($2))"
)

func init() { sqlstore.PostgresArrayWrapper = pqArray }

func pqArray(values any) interface {
	driver.Valuer
	sql.Scanner
} {
	return pq.Array(values)
}

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,40}$`)

// openPostgres opens one phone's session in a schema that many phones share. The lock ends with the connection.
func openPostgres(ctx context.Context, args Args) (*Session, *protocol.Error) {
	schema := args.Schema
	if schema == "" {
		schema = DefaultSchema
	}
	if !schemaName.MatchString(schema) || args.PhoneID == "" {
		return nil, protocol.Fail(protocol.CodeBadArgument, "postgres needs a phone_id and a schema of lower-case letters")
	}
	config, err := pq.NewConfig(args.Postgres)
	if err != nil {
		return nil, protocol.Fail(protocol.CodeBadArgument, "The address of the database is wrong")
	}
	config.ApplicationName = "heliograph-link"
	if config.Runtime == nil {
		config.Runtime = map[string]string{}
	}
	config.Runtime["search_path"] = schema
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, protocol.Fail(protocol.CodeBadArgument, "The address of the database is wrong")
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(3)
	db.SetMaxIdleConns(2)
	ctx, cancel := context.WithTimeout(ctx, postgresWait)
	defer cancel()
	session, fail := loadPostgres(ctx, db, schema, args.PhoneID)
	if fail != nil {
		_ = db.Close()
	}
	return session, fail
}

func loadPostgres(ctx context.Context, db *sql.DB, schema, phoneID string) (*Session, *protocol.Error) {
	guard, err := db.Conn(ctx)
	if err != nil {
		return nil, Failure(err)
	}
	var mine bool
	if err = guard.QueryRowContext(ctx, tryLockSession, lockSpace, schema+"/"+phoneID).Scan(&mine); err != nil {
		_ = guard.Close()
		return nil, Failure(err)
	}
	if !mine {
		_ = guard.Close()
		return nil, protocol.Fail(protocol.CodeSessionLocked, "Another helper has this session open")
	}
	session, err := loadLocked(ctx, db, schema, phoneID)
	if err != nil {
		_ = guard.Close()
		return nil, Failure(err)
	}
	session.release = func() { _ = guard.Close() }
	return session, nil
}

func loadLocked(ctx context.Context, db *sql.DB, schema, phoneID string) (*Session, error) {
	container := sqlstore.NewWithDB(db, "postgres", nil)
	if err := prepareSchema(ctx, db, container, schema); err != nil {
		return nil, err
	}
	device := container.NewDevice()
	var text string
	err := db.QueryRowContext(ctx, findPhone, phoneID).Scan(&text)
	switch {
	case err == nil:
		jid, err := types.ParseJID(text)
		if err != nil {
			return nil, fmt.Errorf("failed to scan the device of phone %s: %w", phoneID, err)
		}
		known, err := container.GetDevice(ctx, jid)
		if err != nil {
			return nil, err
		}
		if known != nil {
			device = known
		}
	case !errors.Is(err, sql.ErrNoRows):
		return nil, err
	}
	return &Session{
		db: db, container: container, Device: device,
		Known: func(ctx context.Context) (bool, error) {
			var known bool
			err := db.QueryRowContext(ctx, knownPhone, phoneID).Scan(&known)
			return known, err
		},
		Paired: func(ctx context.Context, jid types.JID) error {
			_, err := db.ExecContext(ctx, rememberPhone, phoneID, jid.String())
			return err
		},
		Forget: func(ctx context.Context) error {
			_, err := db.ExecContext(ctx, forgetPhone, phoneID)
			return err
		},
	}, nil
}

// prepareSchema makes the schema and its tables. Helpers that start together take turns.
func prepareSchema(ctx context.Context, db *sql.DB, container *sqlstore.Container, schema string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err = tx.ExecContext(ctx, lockSchema, lockSpace, schema); err != nil {
		return err
	}
	if _, err = db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+pq.QuoteIdentifier(schema)); err != nil {
		return err
	}
	if _, err = db.ExecContext(ctx, phonesTable); err != nil {
		return err
	}
	if err = container.Upgrade(ctx); err != nil {
		return err
	}
	return tx.Commit()
}
