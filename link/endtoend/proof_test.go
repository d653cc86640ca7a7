package endtoend

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"heliograph/link/protocol"
)

// kills is how often the helper is killed: HELIOGRAPH_TEST_KILLS, else a few.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("HELIOGRAPH_TEST_KILLS")); err == nil {
		return n
	}
	return 6
}

// TestKillsAndFaultsUnderLoadLoseNothingShowNothingTwiceAndKeepTheOrder plays a gateway that keeps its queue: each
// message is sent with its own id until it is known to be taken, and the next of its chat waits for that.
func TestKillsAndFaultsUnderLoadLoseNothingShowNothingTwiceAndKeepTheOrder(t *testing.T) {
	w := newWorld(t)
	g, file := w.linked(phoneNumber)
	chance := rand.New(rand.NewPCG(7, 7))
	w.do("PUT", "/simulator/faults", map[string]any{
		"drop_ack_rate": 0.03, "close_before_store_rate": 0.03, "close_after_store_rate": 0.03, "lost_answer_rate": 0.02, "transient_rate": 0.03, "seed": 7,
	})
	chats := []string{"919000000010@c.us", "919000000011@c.us", "919000000012@c.us", "120363000000000100@g.us"}
	sent := map[string][]string{}
	killed, attempts := 0, 0
	for number := 0; killed < kills(); number++ {
		to := chats[number%len(chats)]
		message := text(newID(), to, fmt.Sprintf("message %d", number))
		message.TimeoutS = 1
		for taken := false; !taken; {
			attempts++
			if attempts > 200*kills()+2000 {
				t.Fatal("the proof does not end")
			}
			_, answer := g.begin("send", message)
			var timer <-chan time.Time
			if chance.IntN(12) == 0 {
				timer = time.After(time.Duration(chance.IntN(12)) * time.Millisecond)
			}
			select {
			case f, open := <-answer:
				taken = open && f.OK
				if open && !f.OK {
					judge(t, f.Error)
					waitConnected(t, g)
				}
			case <-timer:
				g.kill()
				killed++
				g = w.again(file)
			}
		}
		sent[to] = append(sent[to], message.MessageID)
	}
	w.do("PUT", "/simulator/faults", map[string]any{})
	count := 0
	for to, ids := range sent {
		var rows []row
		until(t, "retried messages to be read", func() bool { rows = w.messages("limit=100000&chat_id=" + to); return len(rows) >= len(ids) })
		if len(rows) != len(ids) {
			t.Fatalf("%s: %d messages were sent and %d shown", to, len(ids), len(rows))
		}
		for i, one := range rows {
			if one.MessageID != ids[i] || one.Shown != 1 {
				t.Fatalf("%s: at %d stands %+v, expected %s", to, i, one, ids[i])
			}
		}
		count += len(ids)
	}
	t.Logf("%d kills, %d messages, %d attempts: all shown once, in order", killed, count, attempts)
}

func judge(t *testing.T, fail *protocol.Error) {
	t.Helper()
	switch fail.Code {
	case protocol.CodeAckTimeout, protocol.CodeTimeout, protocol.CodeConnectionLost, protocol.CodeNotConnected, protocol.CodeServerUnavailable:
	default:
		t.Fatalf("an unexpected failure: %v", fail)
	}
}

func waitConnected(t *testing.T, g *gateway) {
	t.Helper()
	until(t, "a connection", func() bool {
		result, fail, err := g.try("state", nil)
		var state struct {
			Connected bool `json:"connected"`
		}
		_ = json.Unmarshal(result, &state)
		return err == nil && fail == nil && state.Connected
	})
}
