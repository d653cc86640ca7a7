package testnetwork

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"go.mau.fi/util/dbutil"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"heliograph/link/testnetwork/behaviour"
)

// What a message still brings back (receipts, answers) stands in the journal until its time has come.

const (
	tick      = 20 * time.Millisecond
	dueAtOnce = 200
)

// owe writes down what comes back for a new message.
func (n *Network) owe(ctx context.Context, no int64, a *arrival) error {
	if !a.faults.Receipts {
		return nil
	}
	now := time.Now()
	for _, step := range a.who.Steps {
		after := step.After
		if a.who.Slow {
			after += behaviour.SlowAck
		}
		err := n.journal.exec(ctx, "INSERT INTO linked_due (due_ms, message_no, ack, reply) VALUES ($1, $2, $3, $4)",
			now.Add(after).UnixMilli(), no, step.Ack, step.Reply)
		if err != nil {
			return err
		}
	}
	return nil
}

// poke wakes the schedule.
func (n *Network) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *Network) runSchedule() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.wake:
		case <-timer.C:
		}
		wait := n.fallDue()
		timer.Reset(max(wait, tick))
		if wait > tick { // a new message may be due earlier
			continue
		}
	}
}

// fallDue hands out what is due, and says how long the next one takes.
func (n *Network) fallDue() time.Duration {
	type due struct {
		no      int64
		message int64
		ack     int
		reply   string
	}
	var found []due
	err := n.journal.each(n.ctx, func(row dbutil.Scannable) error {
		var one due
		err := row.Scan(&one.no, &one.message, &one.ack, &one.reply)
		found = append(found, one)
		return err
	}, "SELECT no, message_no, ack, reply FROM linked_due WHERE due_ms <= $1 ORDER BY due_ms, no LIMIT $2", time.Now().UnixMilli(), dueAtOnce)
	if err == nil && len(found) > 0 {
		err = n.journal.transaction(n.ctx, func(ctx context.Context) error {
			for _, one := range found {
				if err := n.comeBack(ctx, one.message, one.ack, one.reply); err != nil {
					return err
				}
				if err := n.journal.exec(ctx, "DELETE FROM linked_due WHERE no = $1", one.no); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return time.Second
	}
	var next int64
	if there, err := n.journal.one(n.ctx, []any{&next}, "SELECT due_ms FROM linked_due ORDER BY due_ms LIMIT 1"); err != nil || !there {
		return time.Minute
	}
	return time.Until(time.UnixMilli(next))
}

// journalled is a row of the journal that something comes back for.
type journalled struct {
	number, chatID, messageID, body string
	device                          uint16
}

func (n *Network) comeBack(ctx context.Context, no int64, ack int, reply string) error {
	var m journalled
	found, err := n.journal.one(ctx, []any{&m.number, &m.chatID, &m.messageID, &m.body, &m.device},
		"SELECT number, chat_id, message_id, body, device FROM linked_messages WHERE no = $1", no)
	if err != nil || !found {
		return err
	}
	if reply != "" {
		return n.answerBack(ctx, m, reply)
	}
	if err = n.journal.exec(ctx, "UPDATE linked_messages SET ack = MAX(ack, $1) WHERE no = $2", ack, no); err != nil {
		return err
	}
	return n.sendReceipt(ctx, m, ack)
}

var receiptTypes = map[int]string{behaviour.AckDelivered: "", behaviour.AckRead: "read", behaviour.AckPlayed: "played"}

// sendReceipt tells the sender's devices how far the message came.
func (n *Network) sendReceipt(ctx context.Context, m journalled, ack int) error {
	kind, known := receiptTypes[ack]
	if !known {
		return nil
	}
	base := waBinary.Attrs{"id": m.messageID, "t": time.Now().Unix()}
	if kind != "" {
		base["type"] = kind
	}
	people, err := n.peopleOf(ctx, m.chatID, m.number)
	if err != nil {
		return err
	}
	devices, err := n.devicesOf(ctx, m.number)
	if err != nil {
		return err
	}
	for _, who := range people {
		attrs := waBinary.Attrs{"from": who.lidJID()}
		if group, ok := strings.CutSuffix(m.chatID, "@g.us"); ok {
			attrs = waBinary.Attrs{"from": types.NewJID(group, types.GroupServer), "participant": who.lidJID()}
		}
		for name, value := range base {
			attrs[name] = value
		}
		for _, device := range devices {
			if err = n.post(ctx, m.number, device, waBinary.Node{Tag: "receipt", Attrs: attrs}); err != nil {
				return err
			}
		}
	}
	return nil
}

// peopleOf are those who read a chat, without its own number.
func (n *Network) peopleOf(ctx context.Context, chatID, without string) ([]*person, error) {
	numbers := []string{strings.TrimSuffix(chatID, "@c.us")}
	if strings.HasSuffix(chatID, "@g.us") {
		var err error
		if numbers, err = n.memberNumbers(ctx, chatID); err != nil {
			return nil, err
		}
	} else if lid, ok := strings.CutSuffix(chatID, "@lid"); ok {
		one, err := n.people.byLID(ctx, lid)
		if err != nil || one == nil {
			return nil, err
		}
		return []*person{one}, nil
	}
	var out []*person
	for _, number := range numbers {
		if number == without && len(numbers) > 1 {
			continue
		}
		one, err := n.people.byNumber(ctx, number)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// answerBack is a person who answers: an echo, STOP, a thumb. Its id is the same when it is made again.
func (n *Network) answerBack(ctx context.Context, m journalled, reply string) error {
	people, err := n.peopleOf(ctx, m.chatID, m.number)
	if err != nil || len(people) == 0 {
		return err
	}
	sum := sha256.Sum256([]byte(m.messageID))
	said := Said{ChatID: m.chatID, To: m.number, Author: people[0].number, MessageID: "3A" + strings.ToUpper(hex.EncodeToString(sum[:9]))}
	switch reply {
	case behaviour.ReplyEcho:
		said.Body = m.body
	case behaviour.ReplyStop:
		said.Body = "STOP"
	case behaviour.ReplyThumb:
		said.Reaction = &SaidReaction{MessageID: m.messageID, Emoji: "\U0001F44D"}
	}
	return n.say(ctx, said, people[0])
}

// held is the trouble that a number is in, and how long it still lasts (0: until a restart).
func (n *Network) held(ctx context.Context, number string) (string, time.Duration, error) {
	var trouble string
	var until *int64
	found, err := n.journal.one(ctx, []any{&trouble, &until}, "SELECT trouble, until_ms FROM linked_held WHERE number = $1", number)
	if err != nil || !found {
		return "", 0, err
	}
	if until == nil {
		return trouble, 0, nil
	}
	left := time.Until(time.UnixMilli(*until))
	if left <= 0 {
		return "", 0, n.release(ctx, number)
	}
	return trouble, left, nil
}

func (n *Network) release(ctx context.Context, number string) error {
	return n.journal.exec(ctx, "DELETE FROM linked_held WHERE number = $1", number)
}

var troubleLasts = map[string]time.Duration{
	behaviour.TroubleOffline: behaviour.OfflineFor, behaviour.TroubleRestricted: behaviour.HeldFor, behaviour.TroubleNewChats: behaviour.HeldFor,
}

// befall puts the sender into trouble. The message is not taken.
func (c *client) befall(ctx context.Context, a *arrival) error {
	n := c.network
	trouble := a.who.Trouble
	until := time.Now().Add(troubleLasts[trouble])
	if trouble != behaviour.TroubleLoggedOut {
		var value any
		if troubleLasts[trouble] > 0 {
			value = until.UnixMilli()
		}
		err := n.journal.exec(ctx, `INSERT INTO linked_held (number, trouble, until_ms) VALUES ($1, $2, $3)
			ON CONFLICT (number) DO UPDATE SET trouble = excluded.trouble, until_ms = excluded.until_ms`, c.number, trouble, value)
		if err != nil {
			return err
		}
	}
	switch trouble {
	case behaviour.TroubleLoggedOut:
		_, err := n.Unlink(ctx, c.number)
		return err
	case behaviour.TroubleReplaced:
		c.replace()
	case behaviour.TroubleOffline, behaviour.TroubleRestricted:
		c.stream.Close()
	case behaviour.TroubleNewChats:
		if err := c.tellTimelock(ctx, until); err != nil {
			return err
		}
		return c.acknowledge(a, 463, 0)
	}
	return nil
}

// tellTimelock says until when no new chats may be opened.
func (c *client) tellTimelock(ctx context.Context, until time.Time) error {
	body := fmt.Sprintf(`{"data":{"xwa2_notify_account_reachout_timelock":{"enforcement_type":"RESTRICT_ALL_COMPANIONS",`+
		`"is_active":true,"time_enforcement_ends":"%d"}}}`, until.Unix())
	return c.network.post(ctx, c.number, c.device, waBinary.Node{Tag: "notification",
		Attrs:   waBinary.Attrs{"from": types.ServerJID, "type": "mex", "id": fmt.Sprintf("mex-%d", until.UnixNano()), "t": time.Now().Unix()},
		Content: []waBinary.Node{{Tag: "update", Attrs: waBinary.Attrs{"op_name": "NotificationAccountReachoutTimelock"}, Content: []byte(body)}}})
}

// keepDown refuses a number's connections for a while.
func (n *Network) keepDown(number string, for_ time.Duration) {
	n.lock.Lock()
	defer n.lock.Unlock()
	n.down[number] = time.Now().Add(for_)
}

// knownChat says whether the number has written to this chat before.
func (n *Network) knownChat(ctx context.Context, number, chatID string) (bool, error) {
	var one int
	return n.journal.one(ctx, []any{&one}, `SELECT 1 FROM linked_messages WHERE chat_id = $1 AND number = $2
		UNION ALL SELECT 1 FROM linked_inbound WHERE chat_id = $1 AND number = $2 LIMIT 1`, chatID, number)
}
