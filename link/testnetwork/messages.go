package testnetwork

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/libsignal/signalerror"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"heliograph/link/testnetwork/behaviour"
)

// arrival is a message that a linked device sent.
type arrival struct {
	id     string
	to     types.JID
	chatID string
	group  bool
	node   *waBinary.Node
	who    behaviour.Recipient
	faults behaviour.Faults
	dice   [5]float64
}

// The places of the dice.
const (
	dieTransient = iota
	dieLostAnswer
	dieDropAck
	dieCloseBefore
	dieCloseAfter
)

// message takes a message of a linked device, or does what the recipient is known for.
func (c *client) message(ctx context.Context, node *waBinary.Node) error {
	n := c.network
	a := &arrival{id: attr(node, "id"), to: jidAttr(node, "to"), node: node}
	if c.number == "" || a.id == "" {
		return nil
	}
	if attr(node, "category") == "peer" {
		return c.acknowledge(a, 0, 0)
	}
	a.group = a.to.Server == types.GroupServer
	chatID, err := n.chatOf(ctx, a.to)
	if err != nil {
		return err
	}
	a.chatID = chatID
	a.who = n.recipient(chatID)
	a.faults, a.dice = n.draw()
	latency := time.Duration(a.faults.LatencyMS * float64(time.Millisecond))
	if a.dice[dieCloseBefore] < a.faults.CloseBeforeStoreRate {
		c.stream.Close()
		return nil
	}
	if refused, err := c.refused(ctx, a, latency); refused || err != nil {
		return err
	}
	meets, err := n.meets(ctx, c.number, a)
	if err != nil {
		return err
	}
	if meets {
		if done, err := c.meet(ctx, a, latency); done || err != nil {
			return err
		}
	}
	return c.take(ctx, a, meets, latency)
}

// refused answers for a device in trouble, and for messages that fail by chance.
func (c *client) refused(ctx context.Context, a *arrival, latency time.Duration) (bool, error) {
	trouble, _, err := c.network.held(ctx, c.number)
	if err != nil {
		return false, err
	}
	if trouble == behaviour.TroubleNewChats {
		known, err := c.network.knownChat(ctx, c.number, a.chatID)
		if err != nil {
			return false, err
		}
		if !known {
			return true, c.acknowledge(a, 463, latency)
		}
	}
	if a.dice[dieTransient] < a.faults.TransientRate {
		return true, c.acknowledge(a, 503, latency)
	}
	return false, nil
}

// meets says whether this arrival meets what the recipient is known for, or is past it.
func (n *Network) meets(ctx context.Context, number string, a *arrival) (bool, error) {
	if a.who.Trouble == behaviour.TroubleNewChats {
		if known, err := n.knownChat(ctx, number, a.chatID); known || err != nil {
			return false, err
		}
	}
	if a.who.Times == 0 {
		return true, nil
	}
	var times int
	_, err := n.journal.one(ctx, []any{&times}, `INSERT INTO linked_turns (number, chat_id, message_id, times) VALUES ($1, $2, $3, 1)
		ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times`, number, a.chatID, a.id)
	return times <= a.who.Times, err
}

// meet does what the recipient is known for. True: the message is not taken.
func (c *client) meet(ctx context.Context, a *arrival, latency time.Duration) (bool, error) {
	if a.who.Trouble != "" {
		return true, c.befall(ctx, a)
	}
	if a.who.NotTaken {
		c.stream.Close()
		return true, nil
	}
	if a.who.Error != 0 {
		return true, c.acknowledge(a, a.who.Error, latency)
	}
	return false, nil
}

// take decrypts the message, writes it into the journal and acknowledges it.
func (c *client) take(ctx context.Context, a *arrival, meets bool, latency time.Duration) error {
	n := c.network
	err := n.journal.transaction(ctx, func(ctx context.Context) error { return c.store(ctx, a) })
	if err != nil {
		return err
	}
	n.poke()
	switch {
	case a.dice[dieCloseAfter] < a.faults.CloseAfterStoreRate:
		c.stream.Close()
		return nil
	case a.who.Lost && meets:
		if a.who.Unrecognised {
			n.keepDown(c.number, behaviour.KeptDown)
		}
		c.closeSoon(behaviour.LostAfter)
		return nil
	case a.dice[dieLostAnswer] < a.faults.LostAnswerRate:
		c.closeSoon(behaviour.LostAfter)
		return nil
	case a.who.NoAck, a.dice[dieDropAck] < a.faults.DropAckRate:
		return nil
	}
	delay := latency + time.Duration(a.faults.LateAckS*float64(time.Second))
	if a.who.Slow {
		delay += behaviour.SlowAck
	}
	if a.who.Late && a.faults.LateAckS == 0 {
		delay += behaviour.LateAck
	}
	return c.acknowledge(a, 0, delay)
}

// acknowledge answers a message, after a delay without holding up the connection.
func (c *client) acknowledge(a *arrival, code int, delay time.Duration) error {
	attrs := waBinary.Attrs{"class": "message", "id": a.id, "from": a.to, "t": time.Now().Unix()}
	if code != 0 {
		attrs["error"] = code
	}
	if code == 429 && a.who.Backoff != 0 {
		attrs["backoff"] = a.who.Backoff
	}
	ack := waBinary.Node{Tag: "ack", Attrs: attrs}
	if delay <= 0 {
		return c.stream.Write(ack)
	}
	time.AfterFunc(delay, func() {
		n := c.network
		n.lock.Lock() // the acknowledgement goes to the connection that the device has by then
		there := n.clients[deviceKey{c.number, c.device}]
		n.lock.Unlock()
		if there != nil {
			_ = there.stream.Write(ack)
		}
	})
	return nil
}

// store shows the message to its recipient once, and counts every transmission.
func (c *client) store(ctx context.Context, a *arrival) error {
	n := c.network
	message, unreadable, err := c.open(ctx, a)
	if err != nil {
		return err
	}
	var no int64
	repeated, err := n.journal.one(ctx, []any{&no}, `UPDATE linked_messages
		SET transmissions = transmissions + 1, shown = shown + $1 WHERE message_id = $2 AND number = $3 AND chat_id = $4 RETURNING no`,
		boolInt(a.who.Unrecognised), a.id, c.number, a.chatID)
	if err != nil || repeated {
		return err
	}
	if unreadable != nil {
		return n.askAgain(ctx, c, a, unreadable)
	}
	if message == nil {
		return nil
	}
	return n.show(ctx, c, a, message)
}

func boolInt(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// sealed is one encrypted copy of a message.
type sealed struct {
	to   types.JID
	kind string
	body []byte
	node waBinary.Node
}

func sealedIn(node *waBinary.Node) []sealed {
	var out []sealed
	participants := node.GetChildByTag("participants")
	for _, to := range participants.GetChildrenByTag("to") {
		enc := to.GetChildByTag("enc")
		body, _ := enc.Content.([]byte)
		out = append(out, sealed{jidAttr(&to, "jid"), attr(&enc, "type"), body, enc})
	}
	return out
}

// open decrypts each copy with the keys of the phone that it is for. `unreadable` are people whose copy did not open.
func (c *client) open(ctx context.Context, a *arrival) (message *waE2E.Message, unreadable []*person, err error) {
	n := c.network
	old := false
	var reader *person
	for _, copy := range c.copies(a) {
		who, err := n.people.byJID(ctx, copy.to)
		if err != nil {
			return nil, nil, err
		}
		if who == nil {
			continue
		}
		if copy.to.Device != 0 {
			if err = n.forward(ctx, c, a, who, copy); err != nil {
				return nil, nil, err
			}
			continue
		}
		plain, failure := c.openOne(ctx, who, copy)
		if errors.Is(failure, signalerror.ErrOldCounter) {
			old = true
			continue
		}
		if failure != nil {
			if who.number != c.number {
				unreadable = append(unreadable, who)
			}
			continue
		}
		if key := plain.GetSenderKeyDistributionMessage(); a.group && key != nil {
			if err = c.keepGroupKey(ctx, a, who, key); err != nil {
				return nil, nil, err
			}
			reader = who
		}
		if who.number != c.number || a.chatID == c.number+"@c.us" {
			message = plain
		}
	}
	if a.group {
		if opened, found, failure := c.openGroup(ctx, a, reader); found {
			if errors.Is(failure, signalerror.ErrOldCounter) {
				return nil, nil, nil
			}
			return opened, unreadable, failure
		}
	}
	if old && message == nil {
		unreadable = nil // the same frame again: the message was read before
	}
	return message, unreadable, nil
}

// copies are the copies for each device; a copy that answers a retry stands alone in the stanza.
func (c *client) copies(a *arrival) []sealed {
	out := sealedIn(a.node)
	if enc, ok := a.node.GetOptionalChildByTag("enc"); ok && attr(&enc, "type") != "skmsg" {
		body, _ := enc.Content.([]byte)
		to := a.to
		if a.group {
			to = jidAttr(a.node, "participant")
		}
		out = append(out, sealed{to, attr(&enc, "type"), body, enc})
	}
	return out
}

// openOne decrypts a copy. A failed attempt leaves the person's keys as they were.
func (c *client) openOne(ctx context.Context, who *person, copy sealed) (*waE2E.Message, error) {
	plain, err := who.decrypt(ctx, c.lidJID(), copy.kind, copy.body)
	if err != nil {
		return nil, err
	}
	message := &waE2E.Message{}
	if err = proto.Unmarshal(plain, message); err != nil {
		return nil, err
	}
	return message, nil
}
