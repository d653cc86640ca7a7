package endtoend

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.mau.fi/whatsmeow/util/keys"

	"heliograph/link/helper"
	"heliograph/link/protocol"
	"heliograph/link/session"
)

func openArgs(file, url string) helper.OpenArgs {
	return helper.OpenArgs{Store: session.Args{File: file}, LocalURL: url, ConfirmEvents: true}
}

func TestASecondHelperOnTheSameSessionIsRefused(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	second := start(t)
	second.fails(protocol.CodeSessionLocked, "open", openArgs(file, w.url))
	g.kill()
	third := start(t)
	if opened := third.open(file, w.url); opened.Number != phoneNumber {
		t.Fatalf("opened: %+v", opened)
	}
}

func TestASessionFileIsPrivate(t *testing.T) {
	w := newWorld(t)
	_, file := w.linked(phoneNumber)
	for _, path := range []string{file, file + "-wal", file + ".lock"} {
		stat, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if stat.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", filepath.Base(path), stat.Mode())
		}
	}
}

func TestADamagedSessionFileIsNamedAsSuch(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "session.db")
	if err := os.WriteFile(file, []byte("this is not a session, but long enough to look like a file of some kind, at least a kilobyte? no"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t).fails(protocol.CodeSessionDamaged, "open", openArgs(file, w.url))

	g, good := w.linked(phoneNumber)
	g.call("close", nil, nil)
	g.exitCode()
	body, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(body); i++ {
		body[i] ^= 0x5a
	}
	if err = os.WriteFile(good, body, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(good + "-wal")
	start(t).fails(protocol.CodeSessionDamaged, "open", openArgs(good, w.url))
}

func TestASessionOfAnotherNumberIsRefused(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	g.kill()
	args := openArgs(file, w.url)
	args.ExpectNumber = "447700900123"
	start(t).fails(protocol.CodeSessionOther, "open", args)
	args.ExpectNumber = phoneNumber
	start(t).call("open", args, nil)
}

func TestAPhoneWithAnotherNumberThatScansIsRefused(t *testing.T) {
	w := newWorld(t)
	g := start(t)
	args := openArgs(filepath.Join(t.TempDir(), "session.db"), w.url)
	args.ExpectNumber = phoneNumber
	g.call("open", args, nil)
	g.call("connect", nil, nil)
	w.scan(g, "447700900123")
	g.event("pairing_failed", protocol.CodeSessionOther)
	var opened helper.Opened
	g.call("state", nil, &opened)
	if opened.Paired {
		t.Fatalf("linked all the same: %+v", opened)
	}
}

func TestAnotherConnectionInItsPlaceEndsTheHelpersWork(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	w.do("POST", "/linked/replace", map[string]any{"number": phoneNumber})
	w.expectState(g, helper.StateReplaced)
	if fail := g.fails(protocol.CodeReplaced, "send", text(newID(), friend, "x")); fail.Sent != protocol.SentNo {
		t.Fatalf("sent %s", fail.Sent)
	}
	g.fails(protocol.CodeReplaced, "connect", nil)
	g.kill()
	w.again(file).call("send", text(newID(), friend, "after a restart"), nil)
}

func TestAPersonWhoUnlinksTheDeviceLogsItOut(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	w.do("POST", "/linked/unlink", map[string]any{"number": phoneNumber})
	w.expectState(g, helper.StateLoggedOut)
	g.fails(protocol.CodeLoggedOut, "send", text(newID(), friend, "x"))
	g.call("close", nil, nil)
	g.exitCode()
	g = start(t)
	if opened := g.open(file, w.url); opened.Paired {
		t.Fatalf("still paired: %+v", opened)
	}
	g.call("connect", nil, nil)
	w.scan(g, phoneNumber)
	if again := w.expectState(g, helper.StateConnected); again.Device != 2 {
		t.Fatalf("linked again as %+v", again)
	}
	g.call("send", text(newID(), friend, "linked again"), nil)
}

func TestADeviceThatWasUnlinkedWhileAwayHearsItAtLogin(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	g.kill()
	w.do("POST", "/linked/unlink", map[string]any{"number": phoneNumber})
	g = start(t)
	g.open(file, w.url)
	g.call("connect", nil, nil)
	w.expectState(g, helper.StateLoggedOut)
}

func TestLogoutUnlinksForGoodAndCloseDoesNot(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	g.call("close", nil, nil)
	if code := g.exitCode(); code != helper.ExitClosed {
		t.Fatalf("close ends with %d", code)
	}
	g = w.again(file)
	var done map[string]any
	g.call("logout", nil, &done)
	if done["confirmed"] != true {
		t.Fatalf("logout: %v", done)
	}
	if devices := string(w.do("GET", "/linked/devices?number="+phoneNumber, nil)); devices != "[]\n" {
		t.Fatalf("devices left: %s", devices)
	}
}

func TestTroublesOfTheNumberAreStates(t *testing.T) {
	w := newWorld(t)
	banned, _ := w.linked(phoneNumber)
	banned.begin("send", text(newID(), "12025550144@c.us", "x"))
	state := banned.event("state", `"banned"`)
	if wait := state["error"].(map[string]any)["retry_after_s"].(float64); wait < 50 || wait > 61 {
		t.Errorf("banned for %v s", wait)
	}
	out, _ := w.linked("447700900123")
	out.begin("send", text(newID(), "12025550180@c.us", "x"))
	out.event("state", `"logged_out"`)
	other, _ := w.linked("447700900124")
	other.begin("send", text(newID(), "12025550182@c.us", "x"))
	other.event("state", `"replaced"`)
	away, _ := w.linked("447700900125")
	away.begin("send", text(newID(), "12025550181@c.us", "x"))
	away.event("state", `"offline"`)
}

func TestAWrongClockAndAWrongCertificateAreTold(t *testing.T) {
	w := newWorld(t)
	if err := w.network.Certify(time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	g := start(t)
	g.open(filepath.Join(t.TempDir(), "session.db"), w.url)
	g.fails(protocol.CodeClockWrong, "connect", nil)
	if err := w.network.CertifyBy(keys.NewKeyPair()); err != nil {
		t.Fatal(err)
	}
	g.fails(protocol.CodeWrongCertificate, "connect", nil)
	if err := w.network.Certify(time.Now().Add(-time.Hour), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	g.call("connect", nil, nil)
	w.scan(g, phoneNumber)
	g.event("state", `"connected"`)
}

func TestWithoutANetworkTheFirstDialFailsAndCanBeRepeated(t *testing.T) {
	w := newWorld(t)
	w.stop()
	g := start(t)
	g.open(filepath.Join(t.TempDir(), "session.db"), w.url)
	g.fails(protocol.CodeNoNetwork, "connect", nil)
	if fail := g.fails(protocol.CodeNotPaired, "send", text(newID(), friend, "x")); fail.Sent != protocol.SentNo {
		t.Fatalf("sent %s", fail.Sent)
	}
	w.start()
	g.call("connect", nil, nil)
	w.scan(g, phoneNumber)
	g.event("state", `"connected"`)
}

func TestTheConnectionComesBackAfterTheNetworkWasDown(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	g.call("send", text(newID(), friend, "before"), nil)
	w.stop()
	g.event("state", `"offline"`)
	if fail := g.fails(protocol.CodeNotConnected, "send", text(newID(), friend, "x")); fail.Sent != protocol.SentNo {
		t.Fatalf("sent %s", fail.Sent)
	}
	g.event("reconnect_failed", protocol.CodeNoNetwork)
	w.start()
	until(t, "connected again", func() bool { return g.count("state", `"connected"`) == 2 })
	g.call("send", text(newID(), friend, "after"), nil)
	if rows := w.messages("chat_id=" + friendNumber); len(rows) != 2 || rows[1].Body != "after" {
		t.Fatalf("the journal: %+v", rows)
	}
}

func TestOnlyLoopbackIsTakenByTheTestBuild(t *testing.T) {
	for _, url := range []string{"http://192.0.2.1:80", "https://127.0.0.1:80", "http://web.whatsapp.com:80", "http://127.0.0.1", "nonsense"} {
		g := start(t)
		g.fails(protocol.CodeBadArgument, "open", openArgs(filepath.Join(t.TempDir(), "session.db"), url))
	}
	start(t).fails(protocol.CodeWrongBuild, "open", openArgs(filepath.Join(t.TempDir(), "session.db"), ""))
}

func TestMessagesToAPhoneThatIsAwayWaitForIt(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	g.kill()
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": friend, "body": "while you were out"})
	w.stop()
	w.start()
	g = w.again(file)
	g.event("message", `"while you were out"`)
}

func TestAnEventThatTheGatewayDidNotConfirmComesAgain(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	g.lock.Lock()
	g.mute = true
	g.lock.Unlock()
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": friend, "body": "do not lose this"})
	g.event("message", `"do not lose this"`)
	g.kill()
	g = w.again(file)
	g.event("message", `"do not lose this"`)
	g.call("ping", nil, nil)
	g.call("close", nil, nil)
	g.exitCode()
	g = w.again(file)
	w.do("POST", "/simulator/inbound", map[string]any{"chat_id": friend, "body": "the next"})
	g.event("message", `"the next"`)
	if n := g.count("message", `"do not lose this"`); n != 0 {
		t.Fatalf("a confirmed message came %d times more", n)
	}
}

func TestAReceiptThatCameWhileTheHelperWasAwayIsTold(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	id := newID()
	g.call("send", text(id, "12025550102@c.us", "x"), nil)
	g.kill()
	w.do("POST", "/simulator/receipts", map[string]any{"message_id": id, "ack": 3})
	g = w.again(file)
	g.event("receipt", `"read"`, id)
}

func TestTheHelperEndsWithItsGateway(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	_ = g.conn.Close()
	if code := g.exitCode(); code != helper.ExitClosed {
		t.Fatalf("it ended with %d", code)
	}
}

func TestAPortWithoutAWhatsAppIsNoNetwork(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
			_ = conn.Close()
		}
	}()
	defer func() { _ = listener.Close() }()
	g := start(t)
	g.open(filepath.Join(t.TempDir(), "session.db"), "http://"+listener.Addr().String())
	g.fails(protocol.CodeNoNetwork, "connect", nil)
}

func TestGarbageFromTheNetworkIsPassedOver(t *testing.T) {
	w := newWorld(t)
	g, _ := w.linked(phoneNumber)
	w.do("POST", "/linked/garbage", map[string]any{"number": phoneNumber})
	g.call("send", text(newID(), friend, "after the garbage"), nil)
}
