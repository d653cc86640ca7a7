package helper

import (
	"fmt"
	"os"
	"strconv"
	"sync"

	waBinary "go.mau.fi/whatsmeow/binary"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// The library has no hook for "the frame is about to be written" and drops acknowledgements that come late.
// Its log has both: a line with the stanza itself before each write and after each read. The tap listens there.

// wire hears of the stanzas of messages. Its methods are called on the goroutine that writes or reads.
type wire interface {
	writing(messageID string)
	acknowledged(messageID string, serverCode int, retryAfterS float64)
	serverTime(unix int64)
	busy()
}

// Level says which lines of the library go to standard error.
type Level int

// The levels of LINK_LOG.
const (
	LogNothing Level = iota
	LogErrors
	LogWarnings
	LogEverything
)

// ParseLevel reads LINK_LOG.
func ParseLevel(text string) (Level, bool) {
	level, ok := map[string]Level{"": LogErrors, "off": LogNothing, "error": LogErrors, "warn": LogWarnings, "debug": LogEverything}[text]
	return level, ok
}

var stderrLock sync.Mutex

type tap struct {
	module string
	wire   wire
	level  Level
}

var _ waLog.Logger = (*tap)(nil)

func (t *tap) Sub(module string) waLog.Logger {
	return &tap{module: module, wire: t.wire, level: t.level}
}

func (t *tap) Debugf(text string, args ...any) {
	if len(args) == 1 {
		if node, ok := args[0].(*waBinary.Node); ok {
			t.stanza(node)
		}
	}
	t.print(LogEverything, text, args)
}

func (t *tap) Infof(text string, args ...any)  { t.print(LogEverything, text, args) }
func (t *tap) Warnf(text string, args ...any)  { t.print(LogWarnings, text, args) }
func (t *tap) Errorf(text string, args ...any) { t.print(LogErrors, text, args) }

func (t *tap) print(at Level, text string, args []any) {
	if t.level < at {
		return
	}
	stderrLock.Lock()
	defer stderrLock.Unlock()
	_, _ = fmt.Fprintf(os.Stderr, "%s: %s\n", t.module, fmt.Sprintf(text, args...))
}

func (t *tap) stanza(node *waBinary.Node) {
	id, _ := node.Attrs["id"].(string)
	t.wire.busy()
	switch {
	case t.module == "Send" && node.Tag == "message":
		t.wire.writing(id)
	case t.module == "Recv" && node.Tag == "ack" && node.Attrs["class"] == "message":
		t.wire.acknowledged(id, attrInt(node, "error"), float64(attrInt(node, "backoff")))
	case t.module == "Recv" && node.Tag == "success":
		t.wire.serverTime(int64(attrInt(node, "t")))
	}
}

func attrInt(node *waBinary.Node, name string) int {
	text, _ := node.Attrs[name].(string)
	value, _ := strconv.Atoi(text)
	return value
}
