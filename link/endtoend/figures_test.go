package endtoend

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"heliograph/link/helper"
)

// The figures are printed, not judged: HELIOGRAPH_TEST_FIGURES=1 go test ./endtoend -run Figures -v

func needFigures(t *testing.T) {
	if os.Getenv("HELIOGRAPH_TEST_FIGURES") == "" {
		t.Skip("a measurement: set HELIOGRAPH_TEST_FIGURES=1")
	}
}

func statusKB(pid int, name string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return -1
	}
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == name+":" {
			value, _ := strconv.Atoi(fields[1])
			return value
		}
	}
	return -1
}

func TestFiguresOfOnePhone(t *testing.T) {
	needFigures(t)
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "session.db")
	begun := time.Now()
	g := start(t)
	g.open(file, w.url)
	t.Logf("start and open: %s", time.Since(begun))
	g.call("connect", nil, nil)
	g.event("qr")
	scanned := time.Now()
	w.scan(g, phoneNumber)
	g.event("state", `"connected"`)
	t.Logf("scan to connected: %s", time.Since(scanned))
	g.call("send", text(newID(), friend, "first"), nil)
	t.Logf("scan to first message taken: %s", time.Since(scanned))
	pid := g.process.Process.Pid
	time.Sleep(6 * time.Second)
	t.Logf("idle: Rss %d kB, Pss %d kB, private dirty %d kB", statusKB(pid, "Rss"), statusKB(pid, "Pss"), statusKB(pid, "Private_Dirty"))
	const count = 1000
	begun = time.Now()
	for i := range count {
		g.call("send", text(newID(), fmt.Sprintf("91953785%04d@c.us", i%10), "message "+strconv.Itoa(i)), nil)
	}
	took := time.Since(begun)
	t.Logf("%d messages to 10 chats in %s: %.0f a second", count, took, count/took.Seconds())
	t.Logf("after them: Rss %d kB", statusKB(pid, "Rss"))
	time.Sleep(25 * time.Second)
	t.Logf("idle again: Rss %d kB, Pss %d kB, Anonymous %d kB", statusKB(pid, "Rss"), statusKB(pid, "Pss"), statusKB(pid, "Anonymous"))
	var memory map[string]any
	g.call("ping", nil, &memory)
	t.Logf("%v", memory)
	g.kill()
	g = w.again(file)
	time.Sleep(6 * time.Second)
	t.Logf("restarted, idle: Rss %d kB, Pss %d kB", statusKB(g.process.Process.Pid, "Rss"), statusKB(g.process.Process.Pid, "Pss"))
	var state helper.Opened
	g.call("state", nil, &state)
}

func handles() (files, tasks int) {
	entries, _ := os.ReadDir("/proc/self/fd")
	threads, _ := os.ReadDir("/proc/self/task")
	return len(entries), len(threads)
}

func TestFiguresOf200Restarts(t *testing.T) {
	needFigures(t)
	w := newWorld(t)
	first, file := w.linked(phoneNumber)
	first.kill()
	w.again(file).kill()
	files, tasks := handles()
	begun := time.Now()
	for i := range 200 {
		g := w.again(file)
		if i%2 == 0 {
			g.kill()
		} else {
			g.call("close", nil, nil)
			if code := g.exitCode(); code != 0 {
				t.Fatalf("close ended with %d", code)
			}
		}
		_ = g.conn.Close()
	}
	filesAfter, tasksAfter := handles()
	t.Logf("200 restarts in %s; descriptors %d -> %d, threads %d -> %d", time.Since(begun), files, filesAfter, tasks, tasksAfter)
	t.Logf("processes left: %s", leftHelpers())
}

func leftHelpers() string {
	entries, _ := os.ReadDir("/proc")
	count := 0
	for _, entry := range entries {
		target, err := os.Readlink("/proc/" + entry.Name() + "/exe")
		if err == nil && target == builtHelper {
			count++
		}
	}
	return strconv.Itoa(count)
}

func TestFiguresOfManyIdlePhones(t *testing.T) {
	needFigures(t)
	w := newWorld(t)
	const count = 50
	var all []*gateway
	for i := range count {
		g, _ := w.linked(fmt.Sprintf("4477009001%02d", i))
		all = append(all, g)
	}
	time.Sleep(15 * time.Second)
	ticks := func() (sum int) {
		for _, g := range all {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.process.Process.Pid))
			fields := strings.Fields(string(text[strings.LastIndex(string(text), ")")+1:]))
			user, _ := strconv.Atoi(fields[11])
			system, _ := strconv.Atoi(fields[12])
			sum += user + system
		}
		return sum
	}
	rss, pss := 0, 0
	for _, g := range all {
		rss += statusKB(g.process.Process.Pid, "Rss")
		pss += statusKB(g.process.Process.Pid, "Pss")
	}
	before := ticks()
	time.Sleep(30 * time.Second)
	t.Logf("%d idle helpers: Rss %d MB, Pss %d MB together, largest share of a core %.1f %%", count, rss/1024, pss/1024, float64(ticks()-before)/30)
}
